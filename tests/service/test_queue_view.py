"""The queue view: why a waiting run waits, by the forecasts of the workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.ledger import BatchFacts, Ledger, Mode, RunRecord, State, Submission, WorkerState
from cosmos_batch.planning.traits import Shape
from cosmos_batch.service.queue_view import QueueViewReader
from tests.support.dispatch_world import make_run

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
        ("b", "behind 41 runs that start earlier; edge", 7.0),
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
    assert reader.wait_of(record(ledger, "a")) == ("the queue is paused", None)


def test_preempted_run_names_the_cause(ledger: Ledger, reader: QueueViewReader) -> None:
    ledger.workers.report("w", WorkerState.WORKING, forecast=FORECAST)
    assert ledger.queue.claim(["b"], BatchFacts("replay", Shape(32, 32, 2), 10.0, 0), "w", 60)
    ledger.runs.set_state(["b"], State.PREEMPTED, "preempted by an urgent run")
    reason, seconds = reader.wait_of(record(ledger, "b"))
    assert (reason, seconds) == ("preempted by an urgent run; behind 41 runs that start earlier; edge", 10.0)
