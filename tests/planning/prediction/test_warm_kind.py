"""The kind that an idle device loads: a table of situations. A load takes 100 s, a branch 10 s."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Kind
from cosmos_batch.planning.prediction.warm_kind import kind_to_load

COST = replace(CostModel.free("paper", "paper"), load=100.0, load_branch=10.0)
EDGE, DEPTH, OTHER = Kind(("a",), ("edge",)), Kind(("a",), ("depth",)), Kind(("b",), ("edge",))


@pytest.mark.parametrize(
    ("loaded", "per_hour", "elsewhere", "chosen"),
    [
        # A device that holds nothing loads what is likeliest
        (None, {EDGE: 2, DEPTH: 1}, {}, EDGE),
        # The likeliest kind is held; or another is likelier by far
        (EDGE, {EDGE: 2, DEPTH: 1}, {}, None),
        (EDGE, {EDGE: 1, DEPTH: 9}, {}, DEPTH),
        (EDGE, {EDGE: 1, OTHER: 4}, {}, OTHER),
        # Runs of a kind that another idle device holds begin there
        (EDGE, {EDGE: 1, DEPTH: 9}, {DEPTH.label: 1}, None),
        # Runs come so fast that one would come during the load, and wait for it
        (EDGE, {EDGE: 1000, OTHER: 1100}, {}, None),
        # Nothing is expected
        (None, {}, {}, None),
        (EDGE, {DEPTH: 0}, {}, None),
    ],
)
def test_the_next_run_is_to_wait_least(
    loaded: Kind | None, per_hour: dict[Kind, float], elsewhere: dict[str, int], chosen: Kind | None
) -> None:
    rates = {kind: each / 3600 for kind, each in per_hour.items()}
    assert kind_to_load(loaded, rates, elsewhere, COST) == chosen
