"""The end of a queue, shared by several workers so that all are done soon: which turn a worker begins next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product, takewhile

from cosmos_batch.planning.policies.priority import PlannedLaunch

_NEAR = 8
"""Turns for every worker up to which the end is near."""

_BEARABLE = 1.01
"""For a hundredth of the time the plan's order is not left."""

_WORTHWHILE = 1.001
"""For a thousandth, turns are not shared anew."""


def pick_next(waiting: Sequence[PlannedLaunch], others: Sequence[float], count: int) -> list[PlannedLaunch]:
    """Those of the turns, given in their order, that a worker begins next.

    They are the first. But where `others` work too, each of them for so many more seconds, and the end of what
    waits is near, that of the equals goes first after which all are done soonest: so that nobody is left alone at
    the end with something long.
    """
    if len(waiting) > near(len(others)):
        return list(waiting[:count])
    left, found = list(waiting), list[PlannedLaunch]()
    while left and len(found) < count:
        found.append(left.pop(_soonest(left, others)))
    return found


def prefetch_candidates(waiting: Sequence[PlannedLaunch], others: int, most: int) -> list[PlannedLaunch]:
    """Those of the turns that a worker may begin next where so many others work too, the likeliest first.

    Others may be sooner, so as many are likely as there are workers. Near the end it depends on how far the others
    are by then, so the first of each length is likely, too.
    """
    found = pick_next(waiting, [0.0] * others, min(1 + others, most))
    if len(waiting) <= near(others):
        firsts = (waiting[place] for place in _first_of_each_length(waiting).values())
        found += [turn for turn in firsts if not any(turn is other for other in found)]
    return found[:most]


def near(others: int) -> int:
    """How many turns may wait for the end to be near, so that it matters what so many other workers are at."""
    return _NEAR * (1 + others) if others else 0


def _first_of_each_length(waiting: Sequence[PlannedLaunch]) -> dict[float, int]:
    """Of the equals that go before all else: seconds, and the place of the first that takes so long; in order."""
    first = dict[float, int]()
    for place, turn in enumerate(takewhile(lambda turn: turn.rank == waiting[0].rank, waiting)):
        first.setdefault(_seconds(turn), place)
    return first


def _seconds(turn: PlannedLaunch) -> float:
    return sum(batch.seconds for batch in turn.launch.batches)


def _soonest(waiting: Sequence[PlannedLaunch], others: Sequence[float]) -> int:
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
