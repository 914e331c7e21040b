"""Finishing runs: outputs are written and verified while the next batch runs, and what can fail meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, current_thread

import pytest

from cosmos_batch.dispatch.command import check_output
from cosmos_batch.dispatch.output.directory import HOME
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.engines.base import Job
from cosmos_batch.engines.simulated import Fault, Trouble, Write
from cosmos_batch.errors import OutputError, StorageError
from cosmos_batch.ledger import BatchFacts, Ledger, State
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Run
from tests.support.dispatch_world import (
    TRAITS,
    EventRecorder,
    P,
    T,
    dispatch,
    make_input,
    make_run,
    owner,
    states,
    write_answer,
)
from tests.support.service_world import World

ONE = DispatchSettings(max_batch=1)


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Three runs of one shape, four steps each, which make one launch of three batches."""
    video = make_input(tmp_path / "in.mp4")
    return [make_run(f"r{index}", video, prompt=f"street {index}") for index in range(3)]


class Diary(EventRecorder):
    """Keeps steps and ends in the order in which they come."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__(stop_after=stop_after)
        self.lines: list[str] = []
        self.on_step: Callable[[str, int], None] = lambda _run_id, _step: None

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        self.lines.append(f"{run_id} {step}")
        self.on_step(run_id, step)
        super().stepped(run_id, step, steps)

    def changed(self, run_id: str, state: State, cause: str) -> None:
        self.lines.append(f"{run_id} {state}")
        super().changed(run_id, state, cause)


def record(root: Path, run: Run) -> dict[str, object]:
    made: dict[str, object] = json.loads((root / run.id / "run.json").read_text())
    return made


def test_a_batch_is_denoised_while_the_one_before_is_written(tmp_path: Path, runs: list[Run]) -> None:
    root, diary = tmp_path / "out", Diary()

    statuses = dispatch(runs, root, lag=2, settings=ONE, events=diary)

    assert set(states(statuses).values()) == {State.SUCCEEDED}
    assert diary.lines == [
        *("r0 1", "r0 2", "r0 3", "r0 4"),
        *("r1 1", "r1 2", "r0 succeeded", "r1 3", "r1 4"),
        *("r2 1", "r2 2", "r1 succeeded", "r2 3", "r2 4"),
        "r2 succeeded",  # the last is waited for
    ]
    assert [owner(root, run) for run in runs] == [run.fingerprint for run in runs]
    assert not any((root / HOME / "work").iterdir())
    assert not any((root / HOME / "state").iterdir())


def test_finishing_run_is_recorded_with_its_own_batch(tmp_path: Path, runs: list[Run]) -> None:
    root = tmp_path / "out"

    dispatch(runs, root, lag=2, settings=ONE)

    assert [record(root, run)["batch"] for run in runs] == [1, 2, 3]
    assert [record(root, run)["company"] for run in runs] == [["r0"], ["r1"], ["r2"]]


def test_a_stop_waits_for_finishing_runs_and_saves_the_others(tmp_path: Path, runs: list[Run]) -> None:
    root, diary = tmp_path / "out", Diary(stop_after=5)

    statuses = dispatch(runs, root, lag=2, settings=ONE, events=diary)

    assert states(statuses) == {"r0": State.SUCCEEDED, "r1": State.PREEMPTED, "r2": State.QUEUED}
    assert diary.lines[-3:] == ["r1 1", "r1 preempted", "r0 succeeded"]
    assert set(states(dispatch(runs, root, lag=2)).values()) == {State.SUCCEEDED}


def test_crash_requeues_finishing_runs_without_blame(tmp_path: Path, runs: list[Run]) -> None:
    root, diary = tmp_path / "out", Diary()

    statuses = dispatch(runs, root, lag=3, settings=ONE, events=diary, faults={"r1": Fault(Trouble.BREAK, 2)})

    assert states(statuses) == {"r0": State.SUCCEEDED, "r1": State.FAILED, "r2": State.SUCCEEDED}
    assert "r0 queued" in diary.lines
    ledger = Ledger(root / HOME / "ledger.sqlite")
    found = ledger.queries.records(["r0", "r1", "r2"])
    ledger.close()
    assert [found[run.id].failures for run in runs] == [0, 1, 0]


def test_out_of_memory_batch_is_halved_without_its_finishing_runs(tmp_path: Path, runs: list[Run]) -> None:
    """Five runs in batches of two and three, of which the second does not fit while the first is finished."""
    video = tmp_path / "in.mp4"
    more = [make_run(f"r{index}", video, prompt=f"street {index}") for index in (3, 4)]
    root, diary = tmp_path / "out", Diary()

    statuses = dispatch([*runs, *more], root, lag=3, most=2, settings=DispatchSettings(max_batch=3), events=diary)

    assert set(states(statuses).values()) == {State.SUCCEEDED}
    assert diary.batches == [("r0", "r1"), ("r2", "r3", "r4"), ("r2",), ("r3",), ("r4",)]
    assert diary.lines.index("r2 preempted") < diary.lines.index("r2 3") < diary.lines.index("r0 succeeded")
    ledger = Ledger(root / HOME / "ledger.sqlite")
    assert set(ledger.measurements.limits("replay", "virtual").values()) == {
        1
    }  # half of the three that were at a step
    ledger.close()


def full(run_id: str) -> Write:
    def write(job: Job, shape: Shape) -> None:
        if job.run.id == run_id:
            raise StorageError("the disk is full")
        write_answer(job, shape)

    return write


def test_full_disk_ends_the_command_and_counts_no_failure(tmp_path: Path, runs: list[Run]) -> None:
    root = tmp_path / "out"

    with pytest.raises(StorageError, match="the disk is full"):
        dispatch(runs, root, lag=2, settings=ONE, write=full("r0"))

    ledger = Ledger(root / HOME / "ledger.sqlite")
    assert {id_: found.failures for id_, found in ledger.queries.records(["r0", "r1", "r2"]).items()} == {
        "r0": 0,
        "r1": 0,
        "r2": 0,
    }
    assert not ledger.attempts.open_attempts()
    ledger.close()
    diary = Diary()
    assert set(states(dispatch(runs, root, events=diary)).values()) == {State.SUCCEEDED}
    assert [line for line in diary.lines if line.startswith("r0")] == ["r0 4", "r0 succeeded"]


def broken(run_id: str, error: Exception) -> Write:
    def write(job: Job, shape: Shape) -> None:
        if job.run.id == run_id:
            raise error
        write_answer(job, shape)

    return write


def test_output_that_cannot_be_written_fails_its_run_alone(tmp_path: Path, runs: list[Run]) -> None:
    root = tmp_path / "out"

    statuses = dispatch(runs, root, lag=2, settings=ONE, write=broken("r0", ValueError("no such colour")))

    assert states(statuses) == {"r0": State.FAILED, "r1": State.SUCCEEDED, "r2": State.SUCCEEDED}
    assert "no such colour" in statuses["r0"].cause


def test_error_while_an_output_is_verified_fails_its_run_alone(tmp_path: Path, runs: list[Run]) -> None:
    def check(run: Run, _shape: Shape, _job: Job) -> None:
        if run.id == "r0":
            raise ZeroDivisionError("an unforeseen error")

    statuses = dispatch(runs, tmp_path / "out", lag=2, settings=ONE, check=check)

    assert states(statuses) == {"r0": State.FAILED, "r1": State.SUCCEEDED, "r2": State.SUCCEEDED}
    assert "an unforeseen error" in statuses["r0"].cause


class Later(Executor):
    """Does nothing of what it is handed until it is let go."""

    def __init__(self) -> None:
        self._free = False
        self._left: list[Callable[[], None]] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """What will have been done."""
        future: Future[T] = Future()
        self._left.append(lambda: future.set_result(fn(*args, **kwargs)))
        if self._free:
            self.let_go()
        return future

    def let_go(self) -> None:
        """Do what is left, and from now on everything on the spot."""
        self._free = True
        while self._left:
            self._left.pop()()


def test_a_batch_is_denoised_while_the_one_before_is_checked(tmp_path: Path, runs: list[Run]) -> None:
    root, diary, later = tmp_path / "out", Diary(), Later()
    diary.on_step = lambda run_id, step: later.let_go() if (run_id, step) == ("r1", 4) else None

    statuses = dispatch(runs[:2], root, lag=1, settings=ONE, events=diary, checks=later)

    assert set(states(statuses).values()) == {State.SUCCEEDED}
    assert diary.lines == [
        *("r0 1", "r0 2", "r0 3", "r0 4"),
        *("r1 1", "r1 2", "r1 3", "r1 4"),  # r0 was written after r1's first step
        *("r0 succeeded", "r1 succeeded"),
    ]


def test_outputs_are_checked_in_a_thread(tmp_path: Path, runs: list[Run]) -> None:
    threads = set()

    def check(run: Run, shape: Shape, job: Job) -> None:
        threads.add(current_thread())
        check_output(run, shape, job)

    with ThreadPoolExecutor(1) as pool:
        statuses = dispatch(runs, tmp_path / "out", lag=2, settings=ONE, check=check, checks=pool)

    assert set(states(statuses).values()) == {State.SUCCEEDED}
    assert current_thread() not in threads


def test_an_output_that_does_not_hold_is_made_again(tmp_path: Path, runs: list[Run]) -> None:
    root, diary, left = tmp_path / "out", Diary(), ["r0"]

    def check(run: Run, shape: Shape, job: Job) -> None:
        if run.id in left:
            left.remove(run.id)
            raise OutputError("half of it is missing")
        check_output(run, shape, job)

    with ThreadPoolExecutor(1) as pool:
        statuses = dispatch(runs, root, lag=2, settings=ONE, events=diary, check=check, checks=pool)

    assert set(states(statuses).values()) == {State.SUCCEEDED}
    assert ("r0", State.QUEUED, "its output does not hold: half of it is missing") in diary.changes


def test_crash_leaves_outputs_that_are_being_verified(tmp_path: Path, runs: list[Run]) -> None:
    root, diary = tmp_path / "out", Diary()
    begun = Event()

    def check(run: Run, shape: Shape, job: Job) -> None:
        if run.id == "r0":
            begun.wait(60)
        check_output(run, shape, job)

    diary.on_step = lambda run_id, step: begun.set() if (run_id, step) == ("r1", 3) else None
    with ThreadPoolExecutor(1) as pool:
        statuses = dispatch(
            runs,
            root,
            lag=2,
            settings=ONE,
            events=diary,
            faults={"r1": Fault(Trouble.BREAK, 3)},
            check=check,
            checks=pool,
        )

    assert states(statuses) == {"r0": State.SUCCEEDED, "r1": State.FAILED, "r2": State.SUCCEEDED}
    assert diary.lines.count("r0 1") == 1


def one_by_one(world: World) -> World:
    """A service whose launches are of several batches, each of one run."""
    world.traits = replace(TRAITS, steppable=False)
    world.settings = replace(world.settings, max_batch=1)
    world.lag = 2
    return world


def test_seconds_of_other_batches_do_not_count(world: World) -> None:
    one_by_one(world).submit(*[world.run(f"r{index}") for index in range(3)])

    world.serve()

    assert [world.began(f"r{index}") for index in range(3)] == [1, 5, 9]
    assert [world.finished(f"r{index}") for index in range(3)] == [7, 11, 13]
    measured = [each for each in world.ledger.measurements.latest("replay", "virtual") if each.kind == "batch"]
    assert [(each.seconds, each.steps) for each in measured] == [(4, 4)] * 3


def test_cancel_request_for_a_finishing_run_is_followed(world: World) -> None:
    one_by_one(world).submit(world.run("a"), world.run("b"))
    found: dict[str, State] = {}
    world.clock.at(6.5, lambda: found.update(world.ledger.runs.cancel(["a"])))

    world.serve()

    assert found == {"a": State.RUNNING}
    assert world.states() == {"a": State.CANCELLED, "b": State.SUCCEEDED}
    assert not (world.home.videos / "a").exists()


def test_finishing_run_with_a_lost_lease_is_discarded(world: World) -> None:
    one_by_one(world).submit(world.run("a"), world.run("b"))

    def elsewhere() -> None:
        (attempt,) = world.ledger.queries.attempts("a")
        world.ledger.attempts.finish(attempt.id, State.QUEUED, "it was silent")
        assert world.ledger.queue.claim(["a"], BatchFacts("replay", Shape(32, 32, 2), 1.0, 0), "other", lease=900)

    world.clock.at(6.5, elsewhere)
    world.clock.at(
        30, lambda: world.ledger.attempts.finish(world.ledger.queries.attempts("a")[1].id, State.FAILED, "over")
    )

    world.serve()

    assert not (world.home.videos / "a").exists()
    assert world.states() == {"a": State.FAILED, "b": State.SUCCEEDED}
    assert any("its lease ran out" in line["message"] for line in world.happened("noted"))
    assert not list((world.home.videos / HOME / "work").iterdir())


def test_run_claimed_again_while_finishing_is_made_again(world: World) -> None:
    world.lag = 5
    world.submit(world.run("a", steps=2), world.run("b", steps=10))
    world.clock.at(
        2.5,
        lambda: world.ledger.attempts.finish(
            world.ledger.queries.attempts("a")[0].id, State.QUEUED, "it was silent"
        ),
    )

    world.serve()

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert [attempt.outcome for attempt in world.ledger.queries.attempts("a")] == [State.QUEUED, State.SUCCEEDED]
    assert world.ledger.queries.records(["a"])["a"].failures == 0


def test_finishing_run_does_not_occupy_a_slot(world: World) -> None:
    world.lag = 5
    world.settings = replace(world.settings, max_batch=2)
    world.submit(world.run("a", steps=2), world.run("b", steps=10))
    world.arrive(0.5, world.run("c"))

    world.serve()

    assert (world.began("c"), world.finished("a")) == (2, 7)
    assert set(world.states().values()) == {State.SUCCEEDED}
