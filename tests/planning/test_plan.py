"""Batches are cut into parts without losing a run."""

from __future__ import annotations

import pytest

from cosmos_batch.planning.plan import Batch
from cosmos_batch.planning.traits import Shape
from tests.conftest import MakeRun


@pytest.mark.parametrize(
    ("runs", "max_runs", "sizes"), [(7, 3, [2, 2, 3]), (4, 8, [4]), (8, 4, [4, 4]), (3, 1, [1, 1, 1])]
)
def test_parts_are_nearly_equal_and_keep_every_run(
    make_run: MakeRun, runs: int, max_runs: int, sizes: list[int]
) -> None:
    batch = Batch(tuple(make_run("edge") for _ in range(runs)), Shape(32, 32, 2), seconds=12.0, bytes=5)

    parts = batch.split(max_runs)

    assert [len(part.runs) for part in parts] == sizes
    assert tuple(run for part in parts for run in part.runs) == batch.runs
    assert sum(part.seconds for part in parts) == pytest.approx(12.0)


def test_a_part_takes_what_its_own_runs_are_predicted_to_take(make_run: MakeRun) -> None:
    short, long = make_run("edge", num_steps=1), make_run("edge", num_steps=9)
    batch = Batch((short, long), Shape(32, 32, 2), seconds=10.0, bytes=5)

    parts = batch.split(1, lambda runs: float(sum(run.sampling.num_steps or 0 for run in runs)))

    assert [part.seconds for part in parts] == [1.0, 9.0]
    assert batch.take([long]).seconds == 5.0
