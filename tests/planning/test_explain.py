"""The reason of a launch."""

from __future__ import annotations

from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1
from cosmos_batch.engines.registry import profile
from cosmos_batch.planning.explain import reasons
from cosmos_batch.planning.planner import draft_plan
from cosmos_batch.run import Run
from tests.support.runs import MakeRun

TRANSFER1_COST = profile("transfer1", "h100")


def reasons_of(runs: list[Run]) -> list[str]:
    return reasons(draft_plan(runs, TRANSFER1, TRANSFER1_COST), TRANSFER1)


def test_reason_names_what_the_runs_share(make_run: MakeRun) -> None:
    whole = "equal in all that transfer1 holds fixed for a whole launch"

    assert reasons_of([make_run("edge")]) == [f"1 run with edge alone: {whole}"]
    assert reasons_of([make_run("edge", "vis"), make_run("edge", "vis")]) == [f"2 runs with edge + vis: {whole}"]
    assert reasons_of([make_run("edge", priority=100)]) == [f"urgent: 1 run with edge alone: {whole}"]


def test_reason_names_settings_that_keep_runs_of_a_control_set_apart(make_run: MakeRun) -> None:
    assert reasons_of([make_run("edge", seed=1, guidance=3), make_run("edge")]) == [
        "1 run with edge alone and guidance = 3.0 and seed = 1, which transfer1 holds fixed for a whole launch",
        "1 run with edge alone and guidance = 7.0 and seed = 42, which transfer1 holds fixed for a whole launch",
    ]
