"""How groups are cut into launches, by predicted cost."""

from __future__ import annotations

from dataclasses import replace

from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1
from cosmos_batch.engines.registry import profile
from cosmos_batch.planning.planner import plan_runs
from tests.support.planning import sizes
from tests.support.runs import MakeRun

TRANSFER1_COST = profile("transfer1", "h100")
# As if a full device were never reached, and with cheap model loads
FREE = replace(TRANSFER1_COST, knee_tokens=None, memory_bytes=None)


def test_leftover_runs_get_a_launch_only_where_that_is_cheaper(make_run: MakeRun) -> None:
    # Three sets of weights in batches of up to eight; every launch has one batch size
    runs = [make_run("edge", weight=w) for w, count in ((0.1, 8), (0.2, 5), (0.3, 4)) for _ in range(count)]
    loads_cost = replace(FREE, load=1000.0, batch=1.0)
    assert sizes(plan_runs(runs, TRANSFER1, loads_cost)) == [[4, 4, 4, 4, 1]]
    batches_cost = replace(FREE, load=0.0, load_branch=0.0, batch=1000.0)
    plan = plan_runs(runs, TRANSFER1, batches_cost)
    assert sizes(plan) == [[8, 5], [4]]
    assert plan.launches[1].reason == "4 runs with edge alone that did not fill a batch of the launch before"
