"""Whose turn it is: planned batches in the order in which they are begun, so that no run waits for ever.

A run gains a point of priority for every so many seconds that it waits. Points are compared whole, and the plan's
own order, which groups what belongs together, decides between equals. Since every run gains at the same pace, the
order of two waiting runs never changes, and a stream of new ones cannot hold an old one up. Urgent runs go before
all others, however long those have waited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heapreplace
from itertools import takewhile
from math import floor

from cosmos_batch.planning.plan import Batch, Launch, Plan
from cosmos_batch.run import Priority

POINT_SECONDS = 60.0

_NEAR = 8
"""Turns for every worker up to which the end is near."""

_BEARABLE = 1.01
"""For a hundredth of the time the plan's order is not left."""


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
class Turn:
    """A launch to be begun, of a plan's launch or of a part of it."""

    rank: Rank
    launch: Launch


def turns(plan: Plan, rank_of: Callable[[str], Rank], steps: bool, longest: float) -> list[Turn]:
    """The plan's launches in the order in which they are begun; `rank_of` gives a waiting run's rank by id.

    Where runs can join at any step (`steps`), every batch is a turn of its own. Else a turn is as many of a
    launch's batches as take `longest` seconds, since nothing gets in between.
    """
    found = [turn for launch in plan.launches for turn in _of_launch(launch, rank_of, steps, longest)]
    return sorted(found, key=lambda turn: turn.rank, reverse=True)  # stable, so equals stay in the plan's order


def next_turns(waiting: Sequence[Turn], others: Sequence[float], count: int) -> list[Turn]:
    """Those of the turns, given in their order, that a worker begins next.

    They are the first. But where `others` work too, each of them for so many more seconds, and the end of what
    waits is near, that of the equals goes first after which all are done soonest: so that nobody is left alone at
    the end with something long.
    """
    if not others or len(waiting) > _NEAR * (1 + len(others)):
        return list(waiting[:count])
    left, found = list(waiting), list[Turn]()
    while left and len(found) < count:
        found.append(left.pop(_soonest(left, others)))
    return found


def _soonest(waiting: Sequence[Turn], others: Sequence[float]) -> int:
    """The first of the equals after which the end comes not much later than after the best of them."""
    seconds = [sum(batch.seconds for batch in turn.launch.batches) for turn in waiting]
    equals = takewhile(lambda place: waiting[place].rank == waiting[0].rank, range(len(waiting)))
    kinds = {seconds[place]: place for place in reversed(list(equals))}  # of each length the first
    ends = {
        place: _end([length, *others], [*seconds[:place], *seconds[place + 1 :]])
        for length, place in kinds.items()
    }
    bearable = _BEARABLE * min(ends.values())
    return min(place for place, end in ends.items() if end <= bearable)


def _end(busy: Sequence[float], seconds: Sequence[float]) -> float:
    """When workers are done that are busy for so long, if whoever is free takes the longest of what is left.

    Graham 1969, "Bounds on multiprocessing timing anomalies".
    """
    free = list(busy)
    heapify(free)
    for each in sorted(seconds, reverse=True):
        heapreplace(free, free[0] + each)
    return max(free)


def _of_launch(launch: Launch, rank_of: Callable[[str], Rank], steps: bool, longest: float) -> Iterable[Turn]:
    ranked = [(max(rank_of(run.id) for run in batch.runs), batch) for batch in launch.batches]
    if steps:
        return [Turn(best, replace(launch, batches=(batch,))) for best, batch in ranked]
    small = launch.batches[-1] if len(launch.batches[-1].runs) < launch.batch_size else None
    ranked.sort(key=lambda pair: pair[0], reverse=True)
    ranked.sort(key=lambda pair: pair[1] is small)  # a smaller batch stays the last
    return [
        Turn(max(best for best, _ in part), replace(launch, batches=tuple(batch for _, batch in part)))
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
