"""A scheduler that is told what is expected: when it plans, and what an idle device loads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cosmos_batch.dispatch.contract import Decision, Idle, Preload, Snapshot, Start
from cosmos_batch.ledger.prediction import ExpectedKind, QueuePrediction
from cosmos_batch.planning.policies.flush import FlushRules
from tests.support.dispatch_world import TRAITS
from tests.support.memory_queue import MemoryQueue, PaperExecution, queued_run

SCRIPT = replace(TRAITS, steppable=False)
NEVER = 1e9


@dataclass
class Told:
    """A prediction that tests set."""

    prediction: QueuePrediction

    def latest(self) -> QueuePrediction:
        """Return it."""
        return self.prediction


def test_a_script_waits_for_as_long_as_is_predicted_to_be_best() -> None:
    queue, told = MemoryQueue(), Told(QueuePrediction(flush=FlushRules(80.0, 2**31, NEVER, at_once=False)))
    scheduler = queue.scheduler(SCRIPT, predictions=told)
    queue.put(queued_run("a"))
    assert isinstance(scheduler.decide(Snapshot()), Idle)
    queue.now += 79
    queue.put(queued_run("b"))
    assert isinstance(scheduler.decide(Snapshot()), Idle)
    told.prediction = QueuePrediction(flush=FlushRules(40.0, 2**31, NEVER, at_once=False))  # it holds from now on
    start = scheduler.decide(Snapshot())
    assert isinstance(start, Start)
    assert [run.id for run in start.launch.runs] == ["a", "b"]


def test_a_run_that_came_while_the_device_was_busy_has_waited_since_then() -> None:
    queue = MemoryQueue()
    scheduler = queue.scheduler(
        SCRIPT, predictions=Told(QueuePrediction(flush=FlushRules(80.0, 99, NEVER, False)))
    )
    queue.put(queued_run("a"))
    queue.now += 90
    assert isinstance(scheduler.decide(Snapshot()), Start)


def decisions(queue: MemoryQueue, told: Told, *, fails: bool = False) -> list[Decision]:
    """The first decisions for an empty queue."""
    scheduler = queue.scheduler(predictions=told)
    return list(PaperExecution(queue, preload_fails=fails).drive(scheduler, 3))


def expecting(queue: MemoryQueue, controls: str) -> Told:
    """A prediction of a kind that has had a run, which is gone."""
    queue.put(queued_run("before", controls=controls))
    queue.take(["before"])
    return Told(QueuePrediction(kinds=(ExpectedKind(controls, (controls,), "before", 0.001, 3.6, 600.0),)))


def test_an_idle_device_loads_what_is_expected_once() -> None:
    queue = MemoryQueue()
    first, *rest = decisions(queue, expecting(queue, "edge"))
    assert isinstance(first, Preload)
    assert first.launch.controls == ("edge",)
    assert not first.launch.batches
    assert all(isinstance(decision, Idle) for decision in rest)


def test_a_run_begins_in_what_was_loaded_for_it() -> None:
    queue = MemoryQueue()
    scheduler, execution = queue.scheduler(predictions=expecting(queue, "edge")), PaperExecution(queue)
    assert [type(each) for each in execution.drive(scheduler, 1)] == [Preload]
    queue.put(queued_run("a"))
    assert [type(each) for each in execution.drive(scheduler, 1)] == [Start]


def test_nothing_is_loaded_ahead_once_that_has_failed() -> None:
    queue = MemoryQueue()
    found = decisions(queue, expecting(queue, "edge"), fails=True)
    assert [type(each) for each in found] == [Preload, Idle, Idle]


def test_nothing_is_loaded_ahead_of_runs_that_are_unknown_or_while_one_waits() -> None:
    queue = MemoryQueue()
    told = Told(QueuePrediction(kinds=(ExpectedKind("edge", ("edge",), "never", 0.1, 360.0, 5.0),)))
    assert all(isinstance(decision, Idle) for decision in decisions(queue, told))
    queue.put(queued_run("later"), not_before=queue.now + 60)
    assert all(isinstance(decision, Idle) for decision in decisions(queue, expecting(queue, "edge")))
