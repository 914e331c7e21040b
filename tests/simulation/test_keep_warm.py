"""How long a warm device is kept: long where a load costs more than others wait, else as it is set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.engines.registry import profile, traits_of
from cosmos_batch.planning.policies.placement import PlacementRules
from cosmos_batch.simulation.keep_warm import best_patience
from cosmos_batch.simulation.params import Params, generate


@pytest.mark.parametrize(("patience", "best"), [(0.0, 300.0), (300.0, 300.0)])
def test_loads_that_cost_more_than_runs_make_a_device_keep_its_kind(patience: float, best: float) -> None:
    params = Params(runs=80, seconds=1200, kinds=2, zipf=0.0, run_seconds=10, load_seconds=60, seed=1)
    made = generate(params, traits_of("transfer"), profile("transfer", "h100"))
    engine = made.traits, replace(made.cost, error=None)
    assert best_patience(made.trace, 1, engine, PlacementRules(patience=patience)) == best


def test_one_kind_leaves_the_patience_as_it_is_set() -> None:
    params = Params(runs=20, seconds=600, kinds=1, run_seconds=10, load_seconds=60)
    made = generate(params, traits_of("transfer"), profile("transfer", "h100"))
    assert best_patience(made.trace, 1, (made.traits, made.cost), PlacementRules(patience=42.0)) == 42.0
