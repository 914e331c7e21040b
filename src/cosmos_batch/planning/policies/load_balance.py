"""Choose a worker's next launch so that several workers finish the end of a queue together."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heapreplace
from itertools import product, takewhile

from cosmos_batch.planning.policies.priority import PlannedLaunch

_NEAR = 8
"""Planned launches per worker up to which the end of the queue is near."""

TOLERANCE = 1.01
"""An end later by up to this ratio does not justify leaving the plan's order."""

_MIN_GAIN = 1.001
"""Smallest ratio by which an exchange of launches must bring the later end forward."""

EXACT_OTHERS = 32
"""Other workers up to which the ends of all workers are compared. Among more of them the longest launch is next,
which ends at most 4/3 - 1/(3m) times as late as the best order on m workers (Graham 1969). One
launch changes little there, and a comparison takes longer with every worker."""

_LENGTHS = 8
"""Lengths of launches at most that are compared as the next one, so that a choice takes O(n log n)."""


def prefetch_candidates(waiting: Sequence[PlannedLaunch], others: int, limit: int) -> list[PlannedLaunch]:
    """The planned launches that a worker may begin next beside `others` other workers, the likeliest first.

    Another worker may begin a launch sooner, so there are as many candidates as workers. Near the end the choice
    depends on the progress of the others, so the first launch of each length is a candidate, too.
    """
    found = list(waiting[: min(1 + others, limit)])
    if waiting and len(waiting) <= near(others):
        firsts = (waiting[place] for place in _first_of_each_length(waiting).values())
        found += [launch for launch in firsts if not any(launch is other for other in found)]
    return found[:limit]


def near(others: int) -> int:
    """Number of waiting launches up to which the end of the queue is near, with `others` other workers."""
    return _NEAR * (1 + others) if others else 0


def seconds_of(planned: PlannedLaunch) -> float:
    """Predicted seconds of a launch's batches."""
    batches = planned.launch.batches
    return batches[0].seconds if len(batches) == 1 else sum([batch.seconds for batch in batches])


def _first_of_each_length(waiting: Sequence[PlannedLaunch]) -> dict[float, int]:
    """Of the launches of the greatest rank: the index of the first launch of each length in seconds, in order."""
    first = dict[float, int]()
    for place, launch in enumerate(takewhile(lambda launch: launch.rank == waiting[0].rank, waiting)):
        first.setdefault(seconds_of(launch), place)
    return first


def soonest(waiting: Sequence[PlannedLaunch], others: Sequence[float], loads: Sequence[float]) -> int:
    """Return the index of the launch that a worker begins next, so that all workers have finished soonest.

    It is the first one in `waiting` after which the end of all work is within the tolerance of the best, of those
    with the first one's rank or the greatest. `others`: for how many more seconds each other worker is busy;
    `loads`: for each launch the seconds that this worker needs before it, which another worker may not need.
    """
    seconds = [seconds_of(launch) for launch in waiting]
    least = max(*others, *seconds, (sum(others) + sum(seconds)) / (1 + len(others)))
    ends = dict[int, float]()
    for length, place in _compared(_lengths(waiting, seconds, loads)):
        ends[place] = _end([length, *others], [*seconds[:place], *seconds[place + 1 :]])
        if ends[place] <= TOLERANCE * least:
            return place
    return next(place for place, end in ends.items() if end <= TOLERANCE * min(ends.values()))


def _lengths(
    waiting: Sequence[PlannedLaunch], seconds: Sequence[float], loads: Sequence[float]
) -> dict[float, int]:
    """The index of the first launch of each length, loads included, of those that may be the next."""
    ranks = {waiting[0].rank, max(launch.rank for launch in waiting)}
    first = dict[float, int]()
    for place, launch in enumerate(waiting):
        if launch.rank in ranks:
            first.setdefault(seconds[place] + loads[place], place)
    return first


def _compared(places: dict[float, int]) -> list[tuple[float, int]]:
    """Lengths to compare, with their places: of many, the first and those at equal distances."""
    if len(places) <= _LENGTHS:
        return list(places.items())
    lengths = sorted(places)
    chosen = {lengths[(len(lengths) - 1) * index // (_LENGTHS - 2)] for index in range(_LENGTHS - 1)}
    chosen.add(next(iter(places)))
    return [(length, place) for length, place in places.items() if length in chosen]


def _end(busy: Sequence[float], seconds: Sequence[float]) -> float:
    """Seconds until workers that are busy for `busy` seconds have finished launches of `seconds`, shared well.

    The worker that is free first takes the longest launch (LPT: Graham 1969, "Bounds on multiprocessing timing
    anomalies"). Then, while that gains, the worker that ends last gives a launch to another, or exchanges one.
    """
    ends, shares = list(busy), [list[float]() for _ in busy]
    free = [(end, worker) for worker, end in enumerate(busy)]
    heapify(free)
    for each in sorted(seconds, reverse=True):
        _, first = free[0]
        ends[first] += each
        shares[first].append(each)
        heapreplace(free, (ends[first], first))
    for _ in seconds:
        exchange = _exchange(ends, shares)
        if exchange is None:
            break
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
    """The exchange that brings the later end of two workers forward most; None where none gains enough.

    Returns the index of the worker that ends last, the seconds it gives, the index of the worker that takes
    them, and the seconds it takes in return, 0 for none.
    """
    last = ends.index(max(ends))
    soonest, found = ends[last] / _MIN_GAIN, None
    for other in range(len(ends)):
        pairs = product(set(shares[last]), {0.0, *shares[other]}) if other != last else ()
        for given, taken in pairs:
            end = max(ends[last] - given + taken, ends[other] + given - taken)
            if end < soonest:
                soonest, found = end, (last, given, other, taken)
    return found
