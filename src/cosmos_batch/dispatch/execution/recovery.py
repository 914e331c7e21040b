"""Recovery of a batch that broke: a pure decision on what is made again.

A batch that ran out of memory or crashed is made again in halves, down to single runs. The halves of a crashed
batch, and theirs, are claimed at once and admit no other run, so that each try isolates the faulty run further.
A run that breaks a batch of its own has failed; where it went on from a checkpoint it is tried again from its
start, alone, since the checkpoint may be the cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cosmos_batch.dispatch.contract import BatchEnd
from cosmos_batch.planning.plan import Batch
from cosmos_batch.run import ResolvedRun


@dataclass(frozen=True, slots=True)
class Recovery:
    """The decision on the runs that were in a batch when it broke."""

    failure: str  # the cause by which its only run has failed; "": all runs are requeued
    parts: tuple[Batch, ...]  # to be made next
    reserve: bool  # claim the parts at once, and admit no other run to them


def recover(end: BatchEnd, cause: str, batch: Batch, runs: Sequence[ResolvedRun], closed: bool) -> Recovery:
    """Decide how a batch is made again that broke with these runs in it.

    `end` is OUT_OF_MEMORY or CRASHED; `closed`: the batch is itself a part of one that broke.
    """
    crashed = end is BatchEnd.CRASHED
    if not runs:
        return Recovery("", (), reserve=False)
    if len(runs) == 1:
        alone = cause if crashed else f"does not fit in memory, even alone: {cause}"
        return Recovery(alone, (batch.take(runs),) if crashed else (), reserve=True)
    halves = batch.take(runs).split(-(-len(runs) // 2))
    return Recovery("", tuple(halves), reserve=crashed or closed)
