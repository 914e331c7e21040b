"""The queue scheduler alone: snapshots in, decisions out. No engine, no thread, no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_batch.dispatch.contract import (
    BatchBroke,
    BatchEnd,
    Close,
    Decision,
    Done,
    EngineBroke,
    ExitCode,
    Idle,
    LaunchFailed,
    SlotView,
    Snapshot,
    Start,
    Step,
    Suspend,
    Switch,
)
from cosmos_batch.dispatch.scheduler.queue import QueueScheduler
from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.errors import EngineError, EngineLostError
from cosmos_batch.ledger import Mode
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Priority
from tests.support.dispatch_world import TRAITS
from tests.support.memory_queue import MemoryQueue, PaperExecution, queued_run

SHAPE = Shape(32, 32, 2)


def started(queue: MemoryQueue, *names: str) -> tuple[QueueScheduler, PaperExecution]:
    """A scheduler whose first decision was applied; runs of these names waited."""
    for name in names:
        queue.put(queued_run(name))
    scheduler, execution = queue.scheduler(), PaperExecution(queue)
    list(execution.drive(scheduler, 1))
    return scheduler, execution


def ids(decision: Decision) -> list[str]:
    assert isinstance(decision, Start)
    return [run.id for run in decision.launch.batches[0].runs]


def test_an_empty_queue_is_polled() -> None:
    queue = MemoryQueue()
    assert queue.scheduler().decide(Snapshot()) == Idle(0.1)


def test_a_paused_queue_frees_the_device() -> None:
    queue = MemoryQueue(mode=Mode.PAUSED)
    scheduler = queue.scheduler()
    assert scheduler.decide(Snapshot(session_open=True)) == Close()
    assert scheduler.decide(Snapshot()) == Done(ExitCode.AWAY)


def test_waiting_runs_that_share_the_work_start_together() -> None:
    queue = MemoryQueue()
    queue.put(queued_run("a"))
    queue.put(queued_run("b"))
    decision = queue.scheduler().decide(Snapshot())
    assert ids(decision) == ["a", "b"]
    assert isinstance(decision, Start)
    assert decision.cost.alone_seconds.keys() == {"a", "b"}


def test_a_run_that_came_meanwhile_is_admitted() -> None:
    queue = MemoryQueue()
    scheduler, execution = started(queue, "a")
    queue.put(queued_run("b"))
    step = scheduler.decide(execution.snapshot())
    assert isinstance(step, Step)
    assert [[run.id for run in admit.runs] for admit in step.admit] == [["b"]]


def test_a_run_of_another_size_is_not_admitted_but_prefetched() -> None:
    queue = MemoryQueue()
    scheduler, execution = started(queue, "a")
    queue.put(queued_run("b", size=64))
    scheduler.decide(execution.snapshot())
    queue.now += 60  # it gathered for long enough, or the monitor planned it
    decisions = list(execution.drive(scheduler, 8))
    assert all(not step.admit for step in decisions if isinstance(step, Step))
    assert [ids(decision) for decision in decisions if isinstance(decision, Start)] == [["b"]]


def batches_in_order(queue: MemoryQueue) -> list[list[str]]:
    """The batches that a worker starts, one run a batch at most."""
    execution = PaperExecution(queue)
    return [ids(each) for each in execution.drive(queue.scheduler(), 200) if isinstance(each, Start)]


def test_levels_start_one_after_the_other_however_long_runs_have_waited() -> None:
    queue = MemoryQueue(limits={SHAPE: 1})
    for level in ((-20, -1), (0,), (1, 50, 99), (100, 101)):
        for priority in level:
            queue.put(queued_run(f"r{priority}", priority=priority))
        queue.now += 86_400
    order = [name for batch in batches_in_order(queue) for name in batch]
    assert order == ["r101", "r100", "r99", "r50", "r1", "r0", "r-1", "r-20"]


@pytest.mark.parametrize("steppable", [True, False])
def test_a_planned_run_whose_priority_changes_is_planned_anew(steppable: bool) -> None:
    queue = MemoryQueue(limits={SHAPE: 1})
    alone = SchedulerSettings(longest_launch=0.0)
    scheduler, execution = queue.scheduler(replace(TRAITS, steppable=steppable), alone), PaperExecution(queue)
    for name in "abcdef":
        queue.put(queued_run(name))
    while not execution.running:
        list(execution.drive(scheduler, 1))
    queue.reprioritise("b", Priority.LOW)
    queue.reprioritise("e", Priority.HIGH)
    queue.reprioritise("c", -1)
    queue.reprioritise("c", Priority.NORMAL)
    started = [ids(each)[0] for each in execution.drive(scheduler, 200) if isinstance(each, Start)]
    assert started == ["e", "c", "d", "f", "b"]


def test_a_limit_of_memory_holds_for_admission() -> None:
    queue = MemoryQueue(limits={SHAPE: 1})
    scheduler, execution = started(queue, "a")
    queue.put(queued_run("b"))
    step = scheduler.decide(execution.snapshot())
    assert isinstance(step, Step)
    assert not step.admit


def test_an_urgent_run_without_room_preempts_one_victim_of_least_priority() -> None:
    queue = MemoryQueue(limits={SHAPE: 2})
    queue.put(queued_run("low", priority=-1))
    queue.put(queued_run("high", priority=1))
    scheduler, execution = queue.scheduler(), PaperExecution(queue)
    list(execution.drive(scheduler, 2))
    assert execution.running.keys() == {"low", "high"}
    queue.put(queued_run("urgent", priority=Priority.URGENT))
    step = scheduler.decide(execution.snapshot())
    assert isinstance(step, Step)
    assert [([run.id for run in admit.runs], admit.preempt) for admit in step.admit] == [(["urgent"], ("low",))]


def test_cancelled_runs_and_runs_with_lost_leases_are_taken_out() -> None:
    queue = MemoryQueue()
    scheduler, execution = started(queue, "a", "b", "c")
    queue.cancel("b")
    lost = execution.running["c"]._replace(lost=True)
    step = scheduler.decide(Snapshot((execution.running["a"], execution.running["b"], lost), (), True))
    assert isinstance(step, Step)
    assert step.cancel == ("b", "c")


def test_a_pause_suspends_a_batch_that_can_be_left() -> None:
    queue = MemoryQueue()
    scheduler, execution = started(queue, "a")
    queue.mode = Mode.PAUSED
    assert scheduler.decide(execution.snapshot()) == Suspend("the queue is paused")


def test_a_pause_waits_for_a_batch_that_cannot_be_left() -> None:
    queue = MemoryQueue()
    queue.put(queued_run("a"))
    scheduler = queue.scheduler(replace(TRAITS, steppable=False, ragged=False))
    execution = PaperExecution(queue)
    while not execution.running:
        list(execution.drive(scheduler, 1))
    queue.mode = Mode.PAUSED
    assert isinstance(scheduler.decide(execution.snapshot()), Step)


def test_draining_lets_the_batch_end_and_admits_no_run() -> None:
    queue = MemoryQueue()
    scheduler, execution = started(queue, "a")
    queue.put(queued_run("b"))
    queue.mode = Mode.DRAINING
    decisions = list(execution.drive(scheduler, 20))
    assert decisions[-1] == Done(ExitCode.AWAY)
    assert execution.done == ["a"]
    assert all(not step.admit for step in decisions if isinstance(step, Step))


def test_the_next_launch_goes_on_in_the_open_session() -> None:
    queue = MemoryQueue()
    scheduler, execution = started(queue, "a")
    queue.put(queued_run("b", controls="depth"))
    kinds = [type(decision) for decision in execution.drive(scheduler, 12)]
    assert kinds[:7] == [Step, Step, Step, Step, Switch, Start, Step]
    assert execution.loaded is None or execution.loaded == ("depth",)


def test_a_run_that_crashed_a_worker_is_alone_in_batch_and_session() -> None:
    queue = MemoryQueue()
    queue.put(queued_run("bad"), crashes=1)
    queue.put(queued_run("good"))
    execution = PaperExecution(queue)
    decisions = list(execution.drive(queue.scheduler(), 16))
    assert {"bad"} in [set(batch) for batch in execution.batches]
    assert {"bad", "good"} not in [set(batch) for batch in execution.batches]
    assert sum(isinstance(decision, Close) for decision in decisions) == 2


def test_halves_of_a_crashed_batch_are_reserved_and_closed() -> None:
    queue = MemoryQueue()
    scheduler, execution = started(queue, "a", "b", "c", "d")
    (start,) = execution.decisions
    assert isinstance(start, Start)
    batch = start.launch.batches[0]
    running = dict.fromkeys("abcd", 1)
    halves = tuple(batch.split(2))
    scheduler.observe(BatchBroke(batch, BatchEnd.CRASHED, "broke", running, False, halves, reserve=True))
    first = scheduler.decide(Snapshot())
    assert isinstance(first, Start)
    assert first.closed
    assert ids(first) == ["a", "b"]
    assert [part.runs for part, _ in first.reserve] == [halves[1].runs]
    second = scheduler.decide(Snapshot())
    assert ids(second) == ["c", "d"]


def test_an_unforeseen_error_ends_the_process() -> None:
    queue = MemoryQueue()
    scheduler, _ = started(queue, "a")
    scheduler.observe(EngineBroke("a device error", foreign=True))
    assert scheduler.decide(Snapshot()) == Done(ExitCode.BROKEN)


def test_a_launch_that_failed_is_left_and_a_lost_engine_ends_the_process() -> None:
    queue = MemoryQueue()
    scheduler, execution = started(queue, "a")
    (start,) = execution.decisions
    assert isinstance(start, Start)
    scheduler.observe(LaunchFailed(start.launch, EngineError("no device"), 0))
    assert isinstance(scheduler.decide(Snapshot()), Idle)
    scheduler.observe(LaunchFailed(start.launch, EngineLostError("lost"), 0))
    assert scheduler.decide(Snapshot()) == Done(ExitCode.BROKEN)


class Contest:
    """Workers with full batches of runs that last, on one queue."""

    def __init__(self, workers: int, limit: int, order: Sequence[int]) -> None:
        self.queue = MemoryQueue(limits={SHAPE: limit, Shape(64, 64, 2): limit})
        self.order = sorted(range(workers), key=lambda place: order[place])
        self.schedulers = [self.queue.scheduler() for _ in range(workers)]
        self.executions = [PaperExecution(self.queue) for _ in range(workers)]
        for number in range(workers * limit):
            self.queue.put(queued_run(f"r{number}", steps=500))
        while self.queue.waiting:
            self.play(1)

    def play(self, rounds: int) -> None:
        """Let all workers decide at the same time, then apply their decisions one after the other."""
        for _ in range(rounds):
            pairs = list(zip(self.schedulers, self.executions, strict=True))
            decisions = [scheduler.decide(execution.snapshot()) for scheduler, execution in pairs]
            for place in self.order:
                decision, (scheduler, execution) = decisions[place], pairs[place]
                assert not isinstance(decision, Done)
                for outcome in execution.apply(decision):
                    scheduler.observe(outcome)

    @property
    def displaced(self) -> list[tuple[str, ...]]:
        """The runs that made way, each time."""
        return [runs for execution in self.executions for runs in execution.displaced]

    @property
    def running(self) -> list[str]:
        """The runs of all batches."""
        return [run_id for execution in self.executions for run_id in execution.running]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(1, 4), st.permutations(range(8)), st.data())
def test_every_urgent_run_displaces_one_run_whatever_the_number_of_workers(
    workers: int, limit: int, order: list[int], data: st.DataObject
) -> None:
    contest = Contest(workers, limit, order)
    arrivals = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=workers * limit))  # rounds before each
    for number, rounds in enumerate(arrivals):
        contest.play(rounds)
        contest.queue.put(queued_run(f"u{number}", steps=500, priority=Priority.URGENT))
    contest.play(3 + 2 * len(arrivals))

    urgent = {f"u{number}" for number in range(len(arrivals))}
    assert urgent <= set(contest.running)
    assert len(contest.running) == len(set(contest.running)) == workers * limit
    assert [len(runs) for runs in contest.displaced] == [1] * len(urgent)
    assert not urgent & {run_id for runs in contest.displaced for run_id in runs}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(1, 4), st.permutations(range(8)), st.data())
def test_urgent_run_of_another_shape_displaces_one_batch_whatever_the_number_of_workers(
    workers: int, limit: int, order: list[int], data: st.DataObject
) -> None:
    contest = Contest(workers, limit, order)
    kinds = data.draw(st.lists(st.sampled_from([(64, "edge"), (32, "depth")]), min_size=1, max_size=workers))
    for number, (size, controls) in enumerate(kinds):
        contest.queue.put(
            queued_run(f"u{number}", steps=500, priority=Priority.URGENT, size=size, controls=controls)
        )
    contest.play(12 + 4 * len(kinds))

    assert {f"u{number}" for number in range(len(kinds))} <= set(contest.running)
    assert len(contest.displaced) <= len(kinds)
    assert len(contest.running) == len(set(contest.running))


def test_workers_whose_urgent_run_was_taken_go_on() -> None:
    contest = Contest(8, 4, range(8))
    contest.queue.put(queued_run("u", steps=500, priority=Priority.URGENT, size=64))
    contest.play(3)
    assert [len(execution.displaced) for execution in contest.executions] == [1] + [0] * 7
    assert contest.executions[0].running.keys() == {"u"}
    assert [len(execution.running) for execution in contest.executions[1:]] == [4] * 7


Arrival = st.tuples(
    st.integers(0, 12),  # turns before it comes
    st.sampled_from([0, 0, 1, 100]),  # priority
    st.sampled_from(["edge", "depth", "edge+depth"]),
    st.sampled_from([32, 64]),
    st.integers(0, 3).map(lambda number: int(number == 3)),  # crashes
)


@settings(max_examples=150, deadline=None)
@given(st.lists(Arrival, min_size=1, max_size=12), st.integers(1, 4), st.integers(0, 2))
def test_every_run_is_executed_once_whatever_comes(
    arrivals: list[tuple[int, int, str, int, int]], limit: int, lag: int
) -> None:
    queue = MemoryQueue(limits={SHAPE: limit, Shape(64, 64, 2): limit})
    scheduler, execution = queue.scheduler(), PaperExecution(queue, lag)
    coming = sorted(enumerate(arrivals), key=lambda pair: pair[1][0])
    suspects = {f"r{index}" for index, arrival in enumerate(arrivals) if arrival[4]}
    for turn, decision in enumerate(execution.drive(scheduler, 4000)):
        while coming and coming[0][1][0] <= turn:
            index, (_, priority, controls, size, crashes) = coming.pop(0)
            queue.put(queued_run(f"r{index}", priority=priority, controls=controls, size=size), crashes=crashes)
        _check(decision, execution, limit)
        if not coming and not queue.waiting and not execution.running and not execution.finishing:
            break
    assert sorted(execution.done) == sorted(f"r{index}" for index in range(len(arrivals)))
    for batch in execution.batches:
        assert len(batch) <= limit
        assert len(batch) == 1 or not suspects & set(batch)


def _check(decision: Decision, execution: PaperExecution, limit: int) -> None:
    """What holds of every decision."""
    running = execution.running
    if isinstance(decision, Start):
        assert not running  # one batch at a time
        assert len(decision.launch.batches[0].runs) <= limit
        for run in decision.launch.batches[0].runs:
            assert set(run.signature) <= set(decision.launch.controls)
    elif isinstance(decision, Step):
        assert running
        joining = [run for admit in decision.admit for run in admit.runs]
        preempt = [run_id for admit in decision.admit for run_id in admit.preempt]
        sizes = {slot.run.sampling.resolution for slot in running.values()}
        assert {run.sampling.resolution for run in joining} <= sizes
        victims: list[SlotView] = [running[run_id] for run_id in preempt]
        assert len(victims) <= len(joining)
        assert all(victim.run.priority < Priority.URGENT for victim in victims)
        if execution.loaded is not None:
            assert all(set(run.signature) <= set(execution.loaded) for run in joining)
    elif isinstance(decision, Switch | Close | Idle):
        assert not running


def test_an_idle_worker_that_holds_the_branches_begins_a_launch_that_others_leave_for_a_second() -> None:
    queue = MemoryQueue(others=[0.0], idle={"inference|edge": 1})
    queue.put(queued_run("a"))
    scheduler = queue.scheduler()
    assert isinstance(scheduler.decide(Snapshot()), Idle)
    queue.now += 1.0  # the other has not begun it
    assert ids(scheduler.decide(Snapshot())) == ["a"]


def test_a_worker_keeps_its_kind_until_another_has_waited_longer() -> None:
    """A branch takes no time here, but another model does: this engine holds the negative prompt fixed."""
    traits = replace(TRAITS, launch_keys=("negative_prompt",))
    queue = MemoryQueue(limits={SHAPE: 1})
    negative = {"a": "x", "b": "y", "c": "x", "d": "y"}
    for name, prompt in negative.items():
        run = queued_run(name, steps=1)
        queue.put(replace(run, sampling=replace(run.sampling, negative_prompt=prompt)))
    execution = PaperExecution(queue)
    started = [ids(each)[0] for each in execution.drive(queue.scheduler(traits), 60) if isinstance(each, Start)]
    assert started == ["a", "c", "b", "d"]


def test_no_run_makes_way_for_an_urgent_one_that_an_idle_worker_can_take() -> None:
    queue = MemoryQueue(limits={SHAPE: 1})
    scheduler, execution = started(queue, "a")
    queue.others, queue.idle = [0.0], {"": 1}
    queue.put(queued_run("urgent", priority=Priority.URGENT))
    step = scheduler.decide(execution.snapshot())
    assert isinstance(step, Step)
    assert not step.admit
    queue.now += 1.0  # the idle worker has not taken it
    step = scheduler.decide(execution.snapshot())
    assert isinstance(step, Step)
    assert [admit.preempt for admit in step.admit] == [("a",)]
