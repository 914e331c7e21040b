"""The end of a queue with several workers: which launch is next, and when all launches have ended."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapreplace
from itertools import product
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.policies.launch_queue import LaunchQueue
from cosmos_batch.planning.policies.load_balance import prefetch_candidates
from cosmos_batch.planning.policies.placement import Device, PlacementRules
from cosmos_batch.planning.policies.priority import PlannedLaunch, Rank
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Run
from tests.support.dispatch_world import PRIOR
from tests.support.runs import resolved

RUN = resolved(Run(id="any", prompt="a street", controls=()))
SHAPE = Shape(32, 32, 2)


def lasting(*seconds: float, rank: Rank = Rank(False, 0)) -> list[PlannedLaunch]:  # noqa: B008 - never changed
    """Planned launches of one run each, of these lengths."""
    batches = [Batch((RUN,), SHAPE, each, 0) for each in seconds]
    return [PlannedLaunch(rank, Launch(0, ("edge",), (batch,), 0.0, "")) for batch in batches]


def length(planned: PlannedLaunch) -> float:
    return planned.launch.batches[0].seconds


def pick_next(waiting: Sequence[PlannedLaunch], others: Sequence[float], count: int) -> list[PlannedLaunch]:
    """The launches that a worker begins next, one after the other."""
    queue, device = LaunchQueue(waiting), Device(PlacementRules(), PRIOR)
    found = []
    while queue and len(found) < count:
        place = device.pick(queue, others)
        queue.remove(place)
        found.append(place[3])
    return found


def makespan(waiting: list[PlannedLaunch], workers: int) -> float:
    """Seconds until the last of the workers has finished."""
    free = [0.0] * workers
    while waiting:
        free.sort()
        (launch,) = pick_next(waiting, [end - free[0] for end in free[1:]], 1)
        waiting.remove(launch)
        free[0] += length(launch)
    return max(free)


@pytest.mark.parametrize(
    ("others", "seconds", "first"),
    [
        ([], [1, 5, 9], [1, 5, 9]),  # one worker: in the plan's order
        ([0.0], [1, 9], [1, 9]),  # the other worker takes the longer one at once
        ([1.0], [1, 9], [9, 1]),  # the other worker would begin it a second later
        ([50.0], [1, 9], [1, 9]),  # the other worker is busy for longer than both take
        ([17], [24, 24, 27, 27], [27, 24, 27]),  # two of 27 end at 54, and two of 24 after 17 at 65
        ([0.0], [1] * 17, [1, 1, 1]),  # all equal
        ([0.0], [1] * 16 + [90], [1, 1, 1]),  # the end is far
        ([99.0] * 33, [3, 9, 5, 9], [9, 9, 5]),  # many workers: the longest one
        ([99.0] * 33, [90, 9, 90.5, 5], [90, 90.5, 9]),  # of nearly equal ones the first
        ([300.0] * 8, [*range(30, 80), 900], [900]),  # of many lengths the longest is compared, too
    ],
)
def test_near_the_end_the_launch_after_which_all_end_soonest_is_next(
    others: list[float], seconds: list[float], first: list[float]
) -> None:
    assert [length(launch) for launch in pick_next(lasting(*seconds), others, len(first))] == first


def test_prefetch_has_as_many_candidates_as_workers() -> None:
    assert [length(launch) for launch in prefetch_candidates(lasting(3, 4, 5), 0, 6)] == [3]
    assert [length(launch) for launch in prefetch_candidates(lasting(*range(1, 99)), 2, 6)] == [1, 2, 3]
    assert [length(launch) for launch in prefetch_candidates(lasting(*range(1, 999)), 20, 6)] == [1, 2, 3, 4, 5, 6]


def test_near_the_end_prefetch_has_one_candidate_of_each_length() -> None:
    waiting = lasting(24, 24, 24, 27, 27, 33)
    likely = prefetch_candidates(waiting, 1, 6)
    assert {24, 27, 33} == {length(launch) for launch in likely}
    for busy in range(60):
        assert pick_next(waiting, [float(busy)], 1)[0] in likely
    assert len(prefetch_candidates(waiting, 1, 2)) == 2


def test_near_the_end_the_greatest_rank_is_next() -> None:
    waiting = lasting(1, 2, rank=Rank(True, 0)) + lasting(8, 9)
    assert {length(launch) for launch in pick_next(waiting, [0.0], 2)} == {1, 2}


def test_two_workers_share_the_standard_scenario_evenly() -> None:
    edge, two, four = 23.8, 26.9, 34.8  # as measured at 832x480x93 with 14 steps
    seconds = [edge] * 6 + [two] * 3 + [four]
    assert makespan(lasting(*seconds), 2) < 1.01 * sum(seconds) / 2


def test_short_queues_end_soon() -> None:
    """On average, within a fifteenth of the lower bound of any order; the plan's order alone is a seventh over."""
    over, plain = [], []
    for seed in range(100):
        dice = Random(seed)
        workers = dice.choice([2, 3, 4])
        count = dice.randint(workers, 6 * workers)
        seconds = sorted(dice.choice([24.0, 27.0, 30.0, 35.0, 70.0]) for _ in range(count))
        least = max(*seconds, sum(seconds) / workers)
        over.append(makespan(lasting(*seconds), workers) / least)
        free = [0.0] * workers
        for each in seconds:
            heapreplace(free, free[0] + each)
        plain.append(max(free) / least)
    assert mean(over) < 1.065 < 1.14 < mean(plain)


def optimum(seconds: list[float], workers: int) -> float:
    """The least time in which the workers can finish."""
    shares = product(range(workers), repeat=len(seconds))
    return min(
        max(
            sum(each for each, worker in zip(seconds, share, strict=True) if worker == one)
            for one in range(workers)
        )
        for share in shares
    )


@given(st.lists(st.floats(1.0, 100.0), min_size=1, max_size=6), st.sampled_from([2, 3]))
def test_a_few_launches_end_nearly_as_soon_as_possible(seconds: list[float], workers: int) -> None:
    assert makespan(lasting(*seconds), workers) <= 1.25 * optimum(seconds, workers)


@given(st.lists(st.lists(st.floats(1.0, 100.0), min_size=1, max_size=4), min_size=34, max_size=40), st.randoms())
def test_many_workers_end_within_the_bound_of_longest_first(shares: list[list[float]], dice: Random) -> None:
    """Filled up to the longest of them, the shares are an order that ends as soon as possible."""
    end = max(sum(share) for share in shares)
    seconds = [each for share in shares for each in [*share, end - sum(share)] if each > 0]
    dice.shuffle(seconds)
    workers = len(shares)
    assert makespan(lasting(*seconds), workers) <= 1.01 * (4 / 3 - 1 / (3 * workers)) * end
