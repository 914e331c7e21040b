"""Slots: the folder, the checkpoint, the lease and the input digests that a claimed run takes into the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.dispatch.contract import Slot
from cosmos_batch.dispatch.execution.context import DispatchContext
from cosmos_batch.dispatch.output.provenance import digests_of, earlier_key, request_key
from cosmos_batch.engines.base import Job
from cosmos_batch.planning.plan import Batch
from cosmos_batch.run import ResolvedRun


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A batch whose runs this process holds, with a slot for each run that is not made yet."""

    batch: Batch
    number: int  # in the ledger
    slots: tuple[Slot, ...]


def make_slot(run: ResolvedRun, attempt: int, batch: int, context: DispatchContext) -> Slot:
    """Make the slot of a claimed attempt, with its folder, and hold its lease.

    `batch`: its number in the ledger. Raises OSError where an input cannot be read.
    """
    inputs = context.digest.files(run)
    state = _checkpoint(run, digests_of(inputs), context)
    job = Job(run, context.folder.work(attempt), state)
    context.leases.take(attempt)
    return Slot(job, attempt, batch, state.exists(), context.clock(), inputs)


def _checkpoint(run: ResolvedRun, digests: Mapping[str, str], context: DispatchContext) -> Path:
    """The run's checkpoint; one of an earlier version gets its present name."""
    folder, identity = context.folder, context.identity
    state = folder.checkpoint(run.id, request_key(run, identity, digests.__getitem__))
    earlier = folder.checkpoint(run.id, earlier_key(run, identity, digests.__getitem__))
    if earlier.exists() and not state.exists():
        earlier.replace(state)
    return state
