"""The replay of arrivals: by hand, and against the simulated fleet, whose workers are those of a service."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cosmos_batch.engines.registry import profile, traits_of
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.simulation.fleet.fleet import Fleet
from cosmos_batch.simulation.params import Params, generate
from cosmos_batch.simulation.policies import POLICIES, window
from cosmos_batch.simulation.shadow.window_choice import fixed_window
from cosmos_batch.simulation.shadow.window_replay import ReplayedKind, ReplayedRun, replay

EDGE, DEPTH = ReplayedKind("edge", 100.0, 2), ReplayedKind("depth", 100.0, 2)


def run(at: float, kind: ReplayedKind = EDGE) -> ReplayedRun:
    return ReplayedRun(at, kind, 10.0)


@pytest.mark.parametrize(
    ("runs", "rules", "devices", "seconds", "gpu_seconds"),
    [
        # A run waits for its window, then for the load and its own time
        ([run(0)], fixed_window(20), 1, 130, 110),
        # Two runs in a window share a load and a batch: 20 + 100 + 20, the second 5 s less
        ([run(0), run(5)], fixed_window(20), 1, 140 + 135, 120),
        # A run that comes after the launch began waits for its end, and pays a load: 130 + (130 - 25 + 110)
        ([run(0), run(25)], fixed_window(20), 1, 130 + 215, 220),
        # ... or has a device of its own
        ([run(0), run(25)], fixed_window(20), 2, 130 + 130, 220),
        # Another kind is a launch of its own
        ([run(0), run(0, DEPTH)], fixed_window(20), 1, 130 + 240, 220),
        # A third run is a batch of its own in the same launch
        ([run(0), run(0), run(0)], fixed_window(20), 1, 140 + 140 + 150, 130),
        # Full batches do not wait, where the rules say so; a device sees runs that arrive within 0.1 s
        ([run(0), run(0)], FlushRules(), 1, 2 * 120.1, 120),
    ],
)
def test_costs_by_hand(
    runs: list[ReplayedRun], rules: FlushRules, devices: int, seconds: float, gpu_seconds: float
) -> None:
    cost = replay(runs, rules, devices)
    assert cost.seconds == pytest.approx(seconds)
    assert cost.gpu_seconds == pytest.approx(gpu_seconds)


@pytest.mark.parametrize("gpus", [1, 3])
def test_a_replay_costs_what_the_same_rules_cost_on_a_fleet(gpus: int) -> None:
    params = Params(
        runs=200,
        seconds=200 * 60 / 0.35 / gpus,
        kinds=4,
        burst=4,
        run_seconds=60,
        load_seconds=120,
        num_frames=5000,
    )
    made = generate(params, traits_of("transfer1"), profile("transfer1", "h100"))
    cost = replace(made.cost, error=None)
    for policy in (window(20), window(160), POLICIES["ours"]):
        fleet = Fleet(made.trace, gpus, (made.traits, cost), policy).run()
        kinds = [ReplayedKind(str(number), 120.0, 1) for number in range(len(made.trace.templates))]
        runs = [
            ReplayedRun(float(at), kinds[template], 60.0)
            for at, template in zip(made.trace.at, made.trace.template, strict=True)
        ]
        found = replay(runs, policy.scheduling.rules, gpus)
        assert found.seconds == pytest.approx(float(np.sum(fleet.times.ended - made.trace.at)), rel=0.02)
        assert found.gpu_seconds == pytest.approx(fleet.totals.busy_seconds, rel=0.02)
