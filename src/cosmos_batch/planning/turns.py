"""Whose turn it is: planned batches in the order in which they are begun, so that no run waits for ever.

A run gains a point of priority for every so many seconds that it waits. Points are compared whole, and the plan's
own order, which groups what belongs together, decides between equals. Since every run gains at the same pace, the
order of two waiting runs never changes, and a stream of new ones cannot hold an old one up. Urgent runs go before
all others, however long those have waited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product, takewhile
from math import floor

from cosmos_batch.planning.plan import Batch, Launch, Plan
from cosmos_batch.run import Priority

POINT_SECONDS = 60.0

_NEAR = 8
"""Turns for every worker up to which the end is near."""

_BEARABLE = 1.01
"""For a hundredth of the time the plan's order is not left."""

_WORTHWHILE = 1.001
"""For a thousandth, turns are not shared anew."""


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
    if len(waiting) > near(len(others)):
        return list(waiting[:count])
    left, found = list(waiting), list[Turn]()
    while left and len(found) < count:
        found.append(left.pop(_soonest(left, others)))
    return found


def likely_turns(waiting: Sequence[Turn], others: int, most: int) -> list[Turn]:
    """Those of the turns that a worker may begin next where so many others work too, the likeliest first.

    Others may be sooner, so as many are likely as there are workers. Near the end it depends on how far the others
    are by then, so the first of each length is likely, too.
    """
    found = next_turns(waiting, [0.0] * others, min(1 + others, most))
    if len(waiting) <= near(others):
        firsts = (waiting[place] for place in _first_of_each_length(waiting).values())
        found += [turn for turn in firsts if not any(turn is other for other in found)]
    return found[:most]


def near(others: int) -> int:
    """How many turns may wait for the end to be near, so that it matters what so many other workers are at."""
    return _NEAR * (1 + others) if others else 0


def _first_of_each_length(waiting: Sequence[Turn]) -> dict[float, int]:
    """Of the equals that go before all else: seconds, and the place of the first that takes so long; in order."""
    first = dict[float, int]()
    for place, turn in enumerate(takewhile(lambda turn: turn.rank == waiting[0].rank, waiting)):
        first.setdefault(_seconds(turn), place)
    return first


def _seconds(turn: Turn) -> float:
    return sum(batch.seconds for batch in turn.launch.batches)


def _soonest(waiting: Sequence[Turn], others: Sequence[float]) -> int:
    """The first of the equals after which the end comes not much later than after the best of them."""
    seconds = [_seconds(turn) for turn in waiting]
    least = max(*others, *seconds, (sum(others) + sum(seconds)) / (1 + len(others)))
    ends = dict[int, float]()
    for length, place in _first_of_each_length(waiting).items():
        ends[place] = _end([length, *others], [*seconds[:place], *seconds[place + 1 :]])
        if ends[place] <= _BEARABLE * least:
            return place
    return next(place for place, end in ends.items() if end <= _BEARABLE * min(ends.values()))


def _end(busy: Sequence[float], seconds: Sequence[float]) -> float:
    """When workers are done that are busy for so long, and share what is left well.

    Whoever is free takes the longest (Graham 1969, "Bounds on multiprocessing timing anomalies"). Then, as long as
    that helps, the last to be done gives a turn to another, or exchanges one.
    """
    ends, shares = list(busy), [list[float]() for _ in busy]
    for each in sorted(seconds, reverse=True):
        first = ends.index(min(ends))
        ends[first] += each
        shares[first].append(each)
    while (exchange := _exchange(ends, shares)) is not None:
        last, given, other, taken = exchange
        shares[last].remove(given)
        shares[other].append(given)
        if taken:
            shares[other].remove(taken)
            shares[last].append(taken)
        ends[last] += taken - given
        ends[other] += given - taken
    return max(ends)


def _exchange(ends: Sequence[float], shares: Sequence[Sequence[float]]) -> tuple[int, float, int, float] | None:
    """Who is done last, what he gives, to whom, and what he takes for it, 0 for nothing: so that the later of the
    two is done soonest. None where that gains nothing to speak of.
    """
    last = ends.index(max(ends))
    soonest, found = ends[last] / _WORTHWHILE, None
    for other in range(len(ends)):
        pairs = product(set(shares[last]), {0.0, *shares[other]}) if other != last else ()
        for given, taken in pairs:
            end = max(ends[last] - given + taken, ends[other] + given - taken)
            if end < soonest:
                soonest, found = end, (last, given, other, taken)
    return found


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
