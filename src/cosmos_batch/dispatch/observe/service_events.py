"""Event sink of a service: logs every event and updates the counters."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cosmos_batch.dispatch.observe.counters import Counters
from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.ledger import QueueEntry, State
from cosmos_batch.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class _Running:
    """A run in a batch."""

    batch: int
    since: float  # seconds since 1970


class ServiceEvents:
    """The `EventSink` of a worker.

    `noted` may be called by any thread; all else is called by the main thread alone.
    """

    def __init__(
        self,
        log: EventLog,
        counters: Counters,
        entries: Mapping[str, QueueEntry],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`entries`: the waiting runs by id; a run is still among them when its batch begins."""
        self._log = log
        self._counters = counters
        self._entries = entries
        self._clock = clock
        self._running: dict[str, _Running] = {}
        self._waited: set[str] = set()  # ids of runs whose wait was counted, and that have not ended

    def planned(self, plan: Plan) -> None:
        """Log a plan."""
        self._log("planned", launches=len(plan.launches), seconds=round(plan.seconds, 3))

    def launched(self, reason: str, runs: int) -> None:
        """Log the start of a launch."""
        self._log("launched", runs=runs, reason=reason)

    def began(self, batch: int, run_ids: Sequence[str]) -> None:
        """Log runs that begin a batch or join one, and count how long each waited."""
        now = self._clock()
        self._log("began", batch=batch, runs=list(run_ids))
        for run_id in run_ids:
            self._running[run_id] = _Running(batch, now)
            entry = self._entries.get(run_id)
            if entry is not None and run_id not in self._waited:
                self._waited.add(run_id)
                self._counters.observe("wait_seconds", max(0.0, now - entry.created))

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """Ignore a step: the ledger has it, and a log would be too long."""

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """Log the end of a run's attempt, and count the seconds of one that succeeded."""
        running = self._running.pop(run_id, None)
        batch = None if running is None else running.batch
        self._log("changed", run=run_id, batch=batch, state=state, cause=cause)
        if state not in (State.QUEUED, State.PREEMPTED):
            self._waited.discard(run_id)
        if state is State.SUCCEEDED and running is not None:
            self._counters.observe("run_seconds", max(0.0, self._clock() - running.since))

    def noted(self, message: str) -> None:
        """Log a message."""
        self._log("noted", message=message)
