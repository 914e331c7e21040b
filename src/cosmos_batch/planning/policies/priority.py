"""Order planned launches by rank: the level of priority, then points, which grow with waiting.

A run of a higher level precedes every run of a lower one, however long that has waited. Within a level a run gains
a point of priority for every `point_seconds` that it waits. Points are compared as whole numbers, and the plan's
own order, in which equal runs are adjacent, decides between equals. Since every run gains at the same pace, the
order of two waiting runs never changes, and a stream of new runs delays no old run of its level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import floor
from typing import NamedTuple

from cosmos_batch.planning.plan import Batch, Launch, Plan
from cosmos_batch.run import Priority

POINT_SECONDS = 60.0
"""Default seconds of waiting that count as a point of priority."""


class Rank(NamedTuple):
    """A run's place in the order of waiting runs; the greater rank goes first. A named tuple, as others below,
    since every waiting run has some.
    """

    level: Priority
    points: int  # of priority and waiting; comparable among ranks of the same pace

    @property
    def urgent(self) -> bool:
        """Whether the run preempts runs that are not urgent."""
        return self.level is Priority.URGENT


def rank(priority: int, created: float, point_seconds: float = POINT_SECONDS) -> Rank:
    """The rank of a run that was created at `created`, in seconds.

    It is priority + waited / pace less the present over the pace, which is the same for all runs, so that a run's
    rank never changes.
    """
    return Rank(Priority.level(priority), floor(priority - created / point_seconds))


class PlannedLaunch(NamedTuple):
    """A launch to begin, which is a plan's launch or a part of it, with its rank."""

    rank: Rank
    launch: Launch


def order_launches(
    plan: Plan, rank_of: Callable[[str], Rank], steppable: bool, max_seconds: float
) -> list[PlannedLaunch]:
    """Cut the plan's launches and sort them by rank; `rank_of` gives a waiting run's rank by id.

    Where runs can join at any step (`steppable`), every batch becomes a launch of its own. Else a launch gets as
    many batches of one level of priority as take `max_seconds`, since no run can join it before its end.
    """
    found = [part for launch in plan.launches for part in _parts(launch, rank_of, steppable, max_seconds)]
    return sorted(found, key=lambda part: part.rank, reverse=True)  # stable: equals stay in the plan's order


def _parts(
    launch: Launch, rank_of: Callable[[str], Rank], steppable: bool, max_seconds: float
) -> Iterable[PlannedLaunch]:
    ranked = [(max(rank_of(run.id) for run in batch.runs), batch) for batch in launch.batches]
    if steppable:
        if len(ranked) == 1:
            return [PlannedLaunch(ranked[0][0], launch)]
        return [PlannedLaunch(best, replace(launch, batches=(batch,))) for best, batch in ranked]
    small = launch.batches[-1] if len(launch.batches[-1].runs) < launch.batch_size else None
    ranked.sort(key=lambda pair: pair[0], reverse=True)
    ranked.sort(key=lambda pair: pair[1] is small)  # a smaller batch remains the last
    return [
        PlannedLaunch(max(best for best, _ in part), replace(launch, batches=tuple(batch for _, batch in part)))
        for part in _cut(ranked, max_seconds)
    ]


def _cut(ranked: Sequence[tuple[Rank, Batch]], max_seconds: float) -> list[list[tuple[Rank, Batch]]]:
    parts: list[list[tuple[Rank, Batch]]] = []
    seconds = 0.0
    for pair in ranked:
        if not parts or parts[-1][-1][0].level is not pair[0].level or seconds + pair[1].seconds > max_seconds:
            parts.append([])
            seconds = 0.0
        parts[-1].append(pair)
        seconds += pair[1].seconds
    return parts
