"""The queue view: why a waiting run waits, by the forecasts of the workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.dispatch.scheduler.forecast import MOST_BATCHES
from cosmos_batch.ledger import BatchFacts, Ledger, Mode, RunRecord, State, Submission, WorkerState
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Priority
from cosmos_batch.service.queue_view import QueueViewReader
from cosmos_batch.service.waiting_plan import WaitingPlan
from tests.support.dispatch_world import PRIOR, TRAITS, make_run

START = 1_000_000.0
FORECAST: Mapping[str, Any] = {
    "at": START,
    "seconds": 30.0,
    "launches": [
        {
            "reason": "edge",
            "starts_in": 0.0,
            "batches": [{"runs": ["a"], "runs_total": 41, "starts_in": 0.0}, {"runs": ["b"], "starts_in": 10.0}],
        },
    ],
    "held_back": {"c": "failed before"},
}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        """Return the time in seconds since 1970."""
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite", clock.now)
    ledger.runs.accept([Submission(make_run(name, Path("/in.mp4"))) for name in "abcd"])
    yield ledger
    ledger.close()


@pytest.fixture
def reader(ledger: Ledger, clock: Clock) -> QueueViewReader:
    return QueueViewReader(ledger, flush_seconds=20.0, clock=clock.now)


def record(ledger: Ledger, run_id: str) -> RunRecord:
    found = ledger.queries.get(run_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("run_id", "reason", "seconds"),
    [
        ("a", "next; edge", 0.0),
        ("b", "behind 41 runs; edge", 7.0),
        ("c", "failed before", None),
        ("d", "waiting for more runs to batch with, at most 17 s", None),
    ],
)
def test_reason_and_start_of_a_waiting_run(
    ledger: Ledger, reader: QueueViewReader, clock: Clock, run_id: str, reason: str, seconds: float | None
) -> None:
    ledger.workers.report("w", WorkerState.IDLE, forecast=FORECAST)
    clock.time += 3.0
    assert reader.wait_of(record(ledger, run_id)) == (reason, seconds)


def test_run_that_waited_longer_than_the_flush_is_to_be_planned(
    ledger: Ledger, reader: QueueViewReader, clock: Clock
) -> None:
    clock.time += 25.0
    ledger.workers.report("w", WorkerState.WORKING)
    assert reader.wait_of(record(ledger, "d")) == ("waiting to be planned", None)


def test_reason_without_a_working_worker_or_queue(ledger: Ledger, reader: QueueViewReader, clock: Clock) -> None:
    assert reader.wait_of(record(ledger, "a")) == ("no worker is alive", None)
    clock.time += 2.0
    ledger.workers.report("w", WorkerState.TROUBLED, trouble="the disk is full")
    assert reader.wait_of(record(ledger, "a")) == ("the disk is full", None)
    ledger.settings.set_mode(Mode.PAUSED)
    reader.forget()
    assert reader.wait_of(record(ledger, "a")) == ("the queue is paused: it resumes when you say so", None)


def planned(ledger: Ledger, clock: Clock) -> QueueViewReader:
    """A reader that plans while the workers do not."""
    return QueueViewReader(ledger, 20.0, clock.now, WaitingPlan(ledger, TRAITS, PRIOR, clock.now).forecast)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (Mode.PAUSED, "the queue is paused: it resumes when you say so"),
        (Mode.DRAINING, "the queue is draining: no other run starts until you resume it"),
    ],
)
@pytest.mark.parametrize("worker", [None, WorkerState.ENDED, WorkerState.WORKING])
def test_stopped_queue_is_no_trouble_and_shows_what_would_come_first(
    ledger: Ledger, clock: Clock, mode: Mode, reason: str, worker: WorkerState | None
) -> None:
    ledger.runs.accept([Submission(replace(make_run("now", Path("/in.mp4")), priority=Priority.HIGH))])
    if worker is not None:
        ledger.workers.report("w", worker, forecast=FORECAST)
    ledger.settings.set_mode(mode)
    reader = planned(ledger, clock)

    view = reader.read()
    assert (view.trouble, view.waits_for) == ("", reason)
    assert view.launches[0].batches[0].runs == ("now",)
    assert view.seconds == pytest.approx(sum(launch.seconds for launch in view.launches))
    assert view.seconds > 0
    assert reader.wait_of(record(ledger, "now"))[0].startswith(f"{reason}; next; ")
    assert reader.wait_of(record(ledger, "c"))[0].startswith(f"{reason}; behind 1 run; ")
    clock.time += 5
    ledger.runs.cancel(["now"])
    assert reader.wait_of(record(ledger, "c"))[0].startswith(f"{reason}; next; ")


def test_plan_of_a_long_paused_queue_names_its_first_runs(ledger: Ledger, clock: Clock) -> None:
    sizes = range(16, 16 * (MOST_BATCHES + 30), 16)  # a shape, and so a batch, of its own each
    runs = [make_run(f"r{size}", Path("/in.mp4")) for size in sizes]
    runs = [
        replace(run, sampling=replace(run.sampling, resolution=f"{size}x32"))
        for run, size in zip(runs, sizes, strict=True)
    ]
    ledger.runs.accept([Submission(run) for run in runs])
    ledger.settings.set_mode(Mode.PAUSED)
    reader = planned(ledger, clock)

    reasons = [reader.wait_of(record(ledger, run.id))[0].split("; ")[1] for run in runs]
    assert sum(reason.startswith("behind at least") for reason in reasons) >= 20
    assert reader.read().seconds > sum(launch.seconds for launch in reader.read().launches)


def test_failed_run_of_a_paused_queue_is_not_promised_a_time(ledger: Ledger, clock: Clock) -> None:
    assert ledger.queue.defer(["a"], "the disk is full", 30.0, 3) == []
    ledger.settings.set_mode(Mode.PAUSED)
    assert planned(ledger, clock).wait_of(record(ledger, "a"))[1] is None


def test_trouble_of_a_worker_is_shown_while_the_queue_drains(ledger: Ledger, clock: Clock) -> None:
    ledger.settings.set_mode(Mode.DRAINING)
    ledger.workers.report("w", WorkerState.TROUBLED, trouble="the disk is full")
    assert planned(ledger, clock).read().trouble == "the disk is full"


def test_start_counts_the_running_batch_and_the_workers(
    ledger: Ledger, reader: QueueViewReader, clock: Clock
) -> None:
    for worker in ("w", "v"):
        ledger.workers.report(worker, WorkerState.WORKING, forecast=FORECAST)
    for run_id, worker in (("d", "w"), ("c", "v")):
        assert ledger.queue.claim([run_id], BatchFacts("replay", Shape(32, 32, 2), 60.0, 0), worker, 600)
    clock.time += 4
    assert reader.wait_of(record(ledger, "a"))[1] == pytest.approx(56.0)
    assert reader.wait_of(record(ledger, "b"))[1] == pytest.approx(56.0 + 10.0 / 2)
    assert reader.read().starts_in == pytest.approx(56.0 + 30.0 / 2)


@pytest.mark.parametrize("left", [0.2, 0.5, 1.0])
def test_bound_of_a_wait_is_never_zero(ledger: Ledger, reader: QueueViewReader, clock: Clock, left: float) -> None:
    ledger.workers.report("w", WorkerState.IDLE)
    clock.time += 20.0 - left
    ledger.workers.heartbeat("w")
    assert reader.wait_of(record(ledger, "a"))[0] == "waiting for more runs to batch with, at most 1 s"


def test_run_that_was_saved_for_a_pause_names_its_place_after_it(ledger: Ledger, reader: QueueViewReader) -> None:
    ledger.workers.report("w", WorkerState.WORKING, forecast=FORECAST)
    ledger.runs.set_state(["b"], State.PREEMPTED, "the queue is paused")
    assert reader.wait_of(record(ledger, "b"))[0] == "behind 41 runs; edge"


def test_preempted_run_names_the_cause(ledger: Ledger, reader: QueueViewReader) -> None:
    ledger.workers.report("w", WorkerState.WORKING, forecast=FORECAST)
    ledger.runs.set_state(["b"], State.PREEMPTED, "preempted by an urgent run")
    reason, seconds = reader.wait_of(record(ledger, "b"))
    assert (reason, seconds) == ("preempted by an urgent run; behind 41 runs; edge", 10.0)
