"""The static scheduler alone: a plan in order, each launch in a session of its own, then what waits again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cosmos_batch.dispatch.contract import Close, Done, ExitCode, LaunchFailed, SlotView, Snapshot, Start, Step
from cosmos_batch.dispatch.scheduler.static import StaticScheduler, Waiting
from cosmos_batch.errors import EngineError
from cosmos_batch.planning.plan import Plan
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.run import ResolvedRun
from tests.support.dispatch_world import FACTS, PRIOR, TRAITS
from tests.support.memory_queue import VIDEO, queued_run


class Paper:
    """Plans for real, and predicts a second a run."""

    def plan(self, runs: Sequence[ResolvedRun]) -> Plan:
        return plan_runs(runs, TRAITS, PRIOR, facts={VIDEO: FACTS})

    def batch_seconds(self, runs: Sequence[ResolvedRun]) -> float:
        return float(len(runs))


def scheduler(*rounds: Sequence[ResolvedRun]) -> StaticScheduler:
    """A scheduler that finds these runs waiting, round by round, and then none."""
    left = [*rounds, []]
    return StaticScheduler(Paper(), lambda: Waiting(left.pop(0), {}), lambda _shape: 4)


def running(run: ResolvedRun) -> Snapshot:
    return Snapshot((SlotView(run, 1, 0, 4),), (), True)


def test_a_plan_is_executed_launch_by_launch_and_planned_again_until_none_waits() -> None:
    run, again = queued_run("a"), queued_run("b")
    made = scheduler([run], [again])

    first = made.decide(Snapshot())
    assert isinstance(first, Start)
    assert first.launch.runs == (run,)
    assert made.decide(running(run)) == Step()
    assert made.decide(Snapshot(finishing=("a",), session_open=True)) == Close()
    second = made.decide(Snapshot())
    assert isinstance(second, Start)
    assert second.launch.runs == (again,)
    assert made.decide(Snapshot()) == Done(ExitCode.STOPPED)


def test_nothing_waits() -> None:
    assert scheduler().decide(Snapshot()) == Done(ExitCode.STOPPED)


def test_batches_keep_to_the_limit() -> None:
    made = scheduler([queued_run(name) for name in "abcdefgh"])
    sizes = []
    while isinstance(decision := made.decide(Snapshot()), Start):
        sizes.append(len(decision.launch.batches[0].runs))
    assert sizes == [4, 4]


def test_an_engine_that_cannot_start_ends_the_command() -> None:
    made = scheduler([queued_run("a")])
    start = made.decide(Snapshot())
    assert isinstance(start, Start)
    with pytest.raises(EngineError, match="no device"):
        made.observe(LaunchFailed(start.launch, EngineError("no device"), 0))
