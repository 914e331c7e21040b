"""Rebatching of remaining runs: a script that cuts its file by count never mixes batches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_batch.engines.nvidia.rebatch import RemainingRuns, equal_batches, moved_first, without
from cosmos_batch.planning.plan import Batch
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, Run
from tests.support.runs import resolved


def groups(sizes: list[int]) -> list[Batch]:
    """Batches of these sizes; the ids of their runs begin with the index of the batch."""
    edge = (Control(name="edge", weight=1.0),)
    return [
        Batch(
            tuple(resolved(Run(id=f"g{group}-{i}", prompt="p", controls=edge)) for i in range(size)),
            Shape(16, 16, 2),
            1.0,
            1,
        )
        for group, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("sizes", "max_runs", "cut"),
    [
        ([8, 8, 3], 8, [8, 8, 3]),  # as planned
        ([8, 8, 3], 4, [4, 4, 4, 4, 3]),  # memory halved
        ([8, 8, 3], 3, [2] * 9 + [1]),  # 3 does not divide 8
        ([3, 8], 8, [3, 3, 3, 2]),
        ([7, 8], 8, [7, 7, 1]),
        ([7, 4, 1], 8, [1] * 12),
        ([5], 1, [1] * 5),
    ],
)
def test_size_is_the_largest_that_divides_all_batches_but_the_last(
    sizes: list[int], max_runs: int, cut: list[int]
) -> None:
    assert [len(batch.runs) for batch in equal_batches(groups(sizes), max_runs)] == cut


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 9))
def test_cutting_by_count_never_mixes_batches_and_loses_no_run(sizes: list[int], max_runs: int) -> None:
    pieces = equal_batches(groups(sizes), max_runs)
    size = len(pieces[0].runs)
    runs = [run.id for piece in pieces for run in piece.runs]

    assert runs == [run.id for group in groups(sizes) for run in group.runs]
    assert size <= max_runs
    for start in range(0, len(runs), size):
        assert len({run.split("-")[0] for run in runs[start : start + size]}) == 1


def test_runs_are_moved_first_and_left_out() -> None:
    ids = [run.id for batch in moved_first(groups([2, 2]), {"g1-1"}) for run in batch.runs]
    assert ids == ["g1-1", "g0-0", "g0-1", "g1-0"]
    assert [len(batch.runs) for batch in without(groups([2, 1]), {"g0-0", "g1-0"})] == [1]


def test_remaining_runs_are_repeated_alone_until_these_have_ended() -> None:
    remaining = RemainingRuns(groups([3]))
    remaining.repeat_alone({"g0-1"})

    assert [[run.id for run in batch.runs] for batch in remaining.next_batches()] == [["g0-1"], ["g0-0"], ["g0-2"]]

    remaining.drop({"g0-1"})

    assert [[run.id for run in batch.runs] for batch in remaining.next_batches()] == [["g0-0", "g0-2"]]
    assert "g0-0" in remaining
    assert "g0-1" not in remaining


def test_limit_bounds_the_next_batches() -> None:
    remaining = RemainingRuns(groups([4]))
    remaining.limit(2)

    assert [len(batch.runs) for batch in remaining.next_batches()] == [2, 2]


def test_no_run_remains_when_all_have_ended() -> None:
    remaining = RemainingRuns(groups([1]))
    remaining.drop({"g0-0"})

    assert not remaining
