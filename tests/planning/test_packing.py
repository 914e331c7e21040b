"""Batches filled across groups."""

from __future__ import annotations

import pytest

from cosmos_batch.engines.inprocess.transfer25.traits import TRANSFER25
from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1
from cosmos_batch.planning.batch_size import Load
from cosmos_batch.planning.equivalence import RunClass, groups_of
from cosmos_batch.planning.packing import fill, mixes_weights, places_of
from tests.support.runs import MakeRun


@pytest.mark.parametrize(
    ("runs", "batches"),
    [
        ((3,), [3]),
        ((4,), [4]),
        ((9,), [4, 4, 1]),
        ((5, 2), [4, 3]),  # the second group fills the last batch of the first
        ((5, 4), [4, 4, 1]),
        ((3, 3, 3), [4, 4, 1]),
    ],
)
def test_each_batch_is_filled_before_the_next(
    make_run: MakeRun, runs: tuple[int, ...], batches: list[int]
) -> None:
    given = [make_run("edge", num_steps=steps) for steps, count in enumerate(runs, 10) for _ in range(count)]
    groups = groups_of(given, TRANSFER25, {})

    found = list(fill(groups, four))

    assert [len(places_of(draft)) for draft in found] == batches
    assert [place for draft in found for place in places_of(draft)] == list(range(sum(runs)))


def four(_run_class: RunClass, load: Load) -> int:
    return 4 - load.runs


def test_mixed_weights_are_seen(make_run: MakeRun) -> None:
    runs = [make_run("edge", weight=weight) for weight in (0.5, 0.5, 0.9)]
    (mixed,) = fill(groups_of(runs, TRANSFER1, {}), four)
    (equal,) = fill(groups_of(runs[:2], TRANSFER1, {}), four)

    assert mixes_weights(mixed)
    assert not mixes_weights(equal)
