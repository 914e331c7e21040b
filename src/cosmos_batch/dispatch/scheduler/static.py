"""Static scheduler: the plan of one command, launch by launch, and again while runs wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cosmos_batch.dispatch.contract import (
    BatchBroke,
    Close,
    Decision,
    Done,
    ExitCode,
    LaunchFailed,
    Outcome,
    Snapshot,
    Step,
)
from cosmos_batch.dispatch.scheduler.launch_cursor import LaunchCursor, MaxRuns
from cosmos_batch.planning.plan import Launch, Plan
from cosmos_batch.run import ResolvedRun


@dataclass(frozen=True, slots=True)
class Waiting:
    """The runs of a command that wait."""

    runs: Sequence[ResolvedRun]
    failures: Mapping[str, int]  # failed attempts so far, by run id


class Planner(Protocol):
    """Plans runs with what is known at the time."""

    def plan(self, runs: Sequence[ResolvedRun]) -> Plan:
        """Plan runs."""

    def batch_seconds(self, runs: Sequence[ResolvedRun]) -> float:
        """Predict the seconds of a batch of these runs."""


class StaticScheduler:
    """Executes a plan in order, each launch in a session of its own; then plans what waits again."""

    def __init__(self, planner: Planner, waiting: Callable[[], Waiting], max_runs: MaxRuns) -> None:
        """`waiting` reads the runs of the command that wait."""
        self._planner = planner
        self._read_waiting = waiting
        self._launches: deque[Launch] = deque()
        self._failures: Mapping[str, int] = {}
        self._cursor = LaunchCursor(max_runs, planner.batch_seconds)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Step the running batch; else start the next batch, close the session between launches, or plan."""
        if snapshot.running:
            return Step()
        if (start := self._cursor.next()) is not None:
            return start
        if snapshot.session_open:
            return Close()
        if not self._launches and not self._plan():
            return Done(ExitCode.STOPPED)
        self._cursor.begin(self._launches.popleft(), self._failures)
        return self.decide(snapshot)

    def observe(self, outcome: Outcome) -> None:
        """Take the parts of a broken batch back. Raises the error of an engine that cannot start."""
        if isinstance(outcome, BatchBroke):
            self._cursor.broke(outcome)
        elif isinstance(outcome, LaunchFailed):
            raise outcome.error

    def reset(self) -> None:
        """Forget the plan."""
        self._launches.clear()
        self._cursor.end()

    def _plan(self) -> bool:
        """Plan the runs that wait; return whether any does."""
        waiting = self._read_waiting()
        if not waiting.runs:
            return False
        self._failures = waiting.failures
        self._launches.extend(self._planner.plan(waiting.runs).launches)
        return True
