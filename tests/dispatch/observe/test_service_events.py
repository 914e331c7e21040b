"""Events of a worker: the lines of its log, and what is counted."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import pytest

from cosmos_batch.dispatch.observe.counters import Counters
from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.observe.service_events import ServiceEvents
from cosmos_batch.ledger import QueueEntry, State


class Stage:
    """A sink whose clock is set by hand, with one waiting run that was submitted at second 100."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stream = io.StringIO()
        self.counters = Counters()
        self.kept: dict[tuple[str, str], float] = {}
        entries = {"a": QueueEntry("a", "", 0, created=100.0, not_before=0.0, failures=0, crashes=0)}
        self.events = ServiceEvents(EventLog(self.stream, lambda: 0.0), self.counters, entries, lambda: self.now)

    def add_counters(self, more: Mapping[tuple[str, str], float]) -> None:
        self.kept |= more

    def counted(self, name: str, label: str) -> float:
        self.counters.write(self)
        return self.kept.get((name, label), 0.0)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_wait_of_a_run_is_counted_once_though_it_begins_twice(stage: Stage) -> None:
    stage.now = 107.0
    stage.events.began(1, ["a"])
    stage.events.changed("a", State.PREEMPTED, "an urgent run takes its place")
    stage.now = 120.0
    stage.events.began(2, ["a"])

    assert stage.counted("wait_seconds", "sum") == 7.0
    assert stage.counted("wait_seconds", "count") == 1.0


def test_seconds_of_a_run_that_succeeds_are_counted_from_its_last_begin(stage: Stage) -> None:
    stage.events.began(1, ["a"])
    stage.now = 104.0
    stage.events.changed("a", State.SUCCEEDED, "")

    assert stage.counted("run_seconds", "sum") == 4.0
    last = json.loads(stage.stream.getvalue().splitlines()[-1])
    assert last == {"at": 0.0, "event": "changed", "run": "a", "batch": 1, "state": "succeeded", "cause": ""}


def test_end_of_a_run_that_never_began_has_no_batch(stage: Stage) -> None:
    stage.events.changed("b", State.FAILED, "no such file")

    assert json.loads(stage.stream.getvalue())["batch"] is None
    assert stage.counted("run_seconds", "count") == 0.0
