"""Plans as values."""

from __future__ import annotations

import pytest

from cosmos_batch.planning.plan import Batch, Launch, Plan
from cosmos_batch.planning.traits import Shape
from tests.support.planning import a_run
from tests.support.runs import MakeRun, resolved

BATCH = Batch((a_run("a"), a_run("b", "edge+vis")), Shape(32, 32, 2), seconds=8.0, bytes=100)
LAUNCH = Launch(0, ("edge", "vis"), (BATCH, Batch((a_run("c"),), Shape(32, 32, 2), 4.0, 50)), 3.0, "equal runs")


def plan_of(*launches: Launch) -> Plan:
    return Plan("simulated", launches, one_by_one_seconds=30.0, forced_seconds=60.0, error=None)


def test_launch_and_plan_sum_up_their_batches() -> None:
    plan = plan_of(LAUNCH)

    assert BATCH.signature == ("edge", "vis")
    assert [run.id for run in LAUNCH.runs] == ["a", "b", "c"]
    assert (LAUNCH.batch_size, LAUNCH.seconds) == (2, 15.0)
    assert (plan.seconds, plan.bytes) == (15.0, 100)
    assert (plan_of().seconds, plan_of().bytes) == (0, 0)


@pytest.mark.parametrize(
    ("seconds", "share"),
    [
        (30.0, "50%"),
        (15.0, "0%"),
        (15.0 * (1 - 2**-52), "0%"),  # a sum of the same parts in another order
        (12.0, "-25%"),
        (0.0, "0%"),
    ],
)
def test_saving_has_no_negative_zero(seconds: float, share: str) -> None:
    assert f"{plan_of(LAUNCH).saving(seconds):.0%}" == share


@pytest.mark.parametrize(
    ("runs", "max_runs", "sizes"), [(7, 3, [2, 2, 3]), (4, 8, [4]), (8, 4, [4, 4]), (3, 1, [1, 1, 1])]
)
def test_parts_are_nearly_equal_and_keep_every_run(
    make_run: MakeRun, runs: int, max_runs: int, sizes: list[int]
) -> None:
    batch = Batch(tuple(resolved(make_run("edge")) for _ in range(runs)), Shape(32, 32, 2), seconds=12.0, bytes=5)

    parts = batch.split(max_runs)

    assert [len(part.runs) for part in parts] == sizes
    assert tuple(run for part in parts for run in part.runs) == batch.runs
    assert sum(part.seconds for part in parts) == pytest.approx(12.0)


def test_part_has_the_predicted_seconds_of_its_own_runs(make_run: MakeRun) -> None:
    short, long = resolved(make_run("edge", num_steps=1)), resolved(make_run("edge", num_steps=9))
    batch = Batch((short, long), Shape(32, 32, 2), seconds=10.0, bytes=5)

    parts = batch.split(1, lambda runs: float(sum(run.sampling.num_steps for run in runs)))

    assert [part.seconds for part in parts] == [1.0, 9.0]
    assert batch.take([long]).seconds == 5.0
