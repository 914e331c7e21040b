"""Whose turn it is: planned batches in the order in which they are begun, so that no run waits for ever.

A run gains a point of priority for every so many seconds that it waits. Points are compared whole, and the plan's
own order, which groups what belongs together, decides between equals. Since every run gains at the same pace, the
order of two waiting runs never changes, and a stream of new ones cannot hold an old one up. Urgent runs go before
all others, however long those have waited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import floor

from cosmos_batch.planning.plan import Batch, Launch, Plan
from cosmos_batch.run import Priority

POINT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, order=True)
class Rank:
    """A run's claim on the next turn; the greater goes first."""

    urgent: bool
    points: int  # priority, and what waiting has brought; comparable among ranks of the same pace


def rank(priority: int, created: float, point_seconds: float = POINT_SECONDS) -> Rank:
    """The rank of a run that was asked for at `created`, in seconds.

    Not priority + waited / pace, but that less the present over the pace, which is the same for all: so it stays.
    """
    return Rank(priority >= Priority.URGENT, floor(priority - created / point_seconds))


@dataclass(frozen=True, slots=True)
class PlannedLaunch:
    """A launch to be begun, of a plan's launch or of a part of it."""

    rank: Rank
    launch: Launch


def order_launches(plan: Plan, rank_of: Callable[[str], Rank], steps: bool, longest: float) -> list[PlannedLaunch]:
    """The plan's launches in the order in which they are begun; `rank_of` gives a waiting run's rank by id.

    Where runs can join at any step (`steps`), every batch is a turn of its own. Else a turn is as many of a
    launch's batches as take `longest` seconds, since nothing gets in between.
    """
    found = [turn for launch in plan.launches for turn in _of_launch(launch, rank_of, steps, longest)]
    return sorted(found, key=lambda turn: turn.rank, reverse=True)  # stable, so equals stay in the plan's order


def _of_launch(
    launch: Launch, rank_of: Callable[[str], Rank], steps: bool, longest: float
) -> Iterable[PlannedLaunch]:
    ranked = [(max(rank_of(run.id) for run in batch.runs), batch) for batch in launch.batches]
    if steps:
        return [PlannedLaunch(best, replace(launch, batches=(batch,))) for best, batch in ranked]
    small = launch.batches[-1] if len(launch.batches[-1].runs) < launch.batch_size else None
    ranked.sort(key=lambda pair: pair[0], reverse=True)
    ranked.sort(key=lambda pair: pair[1] is small)  # a smaller batch stays the last
    return [
        PlannedLaunch(max(best for best, _ in part), replace(launch, batches=tuple(batch for _, batch in part)))
        for part in _parts(ranked, longest)
    ]


def _parts(ranked: Sequence[tuple[Rank, Batch]], longest: float) -> list[list[tuple[Rank, Batch]]]:
    parts: list[list[tuple[Rank, Batch]]] = []
    seconds = 0.0
    for pair in ranked:
        if not parts or seconds + pair[1].seconds > longest:
            parts.append([])
            seconds = 0.0
        parts[-1].append(pair)
        seconds += pair[1].seconds
    return parts
