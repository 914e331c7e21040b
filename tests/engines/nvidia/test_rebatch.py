"""What is left of a launch, cut so that a script that counts off its tensor batches never mixes groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_batch.engines.nvidia.rebatch import equal_batches, moved_first, without
from cosmos_batch.planning.plan import Batch
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, Run


def groups(sizes: list[int]) -> list[Batch]:
    """Batches of runs that are called after their group."""
    edge = (Control(name="edge", weight=1.0),)
    return [
        Batch(
            tuple(Run(id=f"g{group}-{i}", prompt="p", controls=edge) for i in range(size)),
            Shape(16, 16, 2),
            1.0,
            1,
        )
        for group, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("sizes", "most", "cut"),
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
    sizes: list[int], most: int, cut: list[int]
) -> None:
    assert [len(batch.runs) for batch in equal_batches(groups(sizes), most)] == cut


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 9))
def test_cutting_by_count_never_mixes_batches_and_loses_no_run(sizes: list[int], most: int) -> None:
    pieces = equal_batches(groups(sizes), most)
    size = len(pieces[0].runs)
    runs = [run.id for piece in pieces for run in piece.runs]

    assert runs == [run.id for group in groups(sizes) for run in group.runs]
    assert size <= most
    for start in range(0, len(runs), size):
        assert len({run.split("-")[0] for run in runs[start : start + size]}) == 1


def test_runs_are_moved_first_and_left_out() -> None:
    ids = [run.id for batch in moved_first(groups([2, 2]), {"g1-1"}) for run in batch.runs]
    assert ids == ["g1-1", "g0-0", "g0-1", "g1-0"]
    assert [len(batch.runs) for batch in without(groups([2, 1]), {"g0-0", "g1-0"})] == [1]
