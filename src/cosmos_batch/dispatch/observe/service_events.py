"""What a service hears of its dispatching: every event a line of the journal, and a tally where one is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cosmos_batch.dispatch.observe.counters import Counters
from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.ledger import QueueEntry, State
from cosmos_batch.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class _Underway:
    batch: int
    since: float  # seconds since 1970


class ServiceEvents:
    """The watcher of a worker; see `watching.Watcher`."""

    def __init__(
        self,
        journal: EventLog,
        tallies: Counters,
        entries: Mapping[str, QueueEntry],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`entries`: what waits, where a run is still to be found when it is just being claimed."""
        self._journal = journal
        self._tallies = tallies
        self._entries = entries
        self._clock = clock
        self._underway: dict[str, _Underway] = {}
        self._waited: set[str] = set()  # runs whose wait was counted, and that have not ended

    def planned(self, plan: Plan) -> None:
        """A plan was made."""
        self._journal("planned", launches=len(plan.launches), seconds=round(plan.seconds, 3))

    def launched(self, reason: str, runs: int) -> None:
        """An engine starts."""
        self._journal("launched", runs=runs, reason=reason)

    def began(self, batch: int, run_ids: Sequence[str]) -> None:
        """Runs begin, or join a batch that has begun."""
        now = self._clock()
        self._journal("began", batch=batch, runs=list(run_ids))
        for run_id in run_ids:
            self._underway[run_id] = _Underway(batch, now)
            entry = self._entries.get(run_id)
            if entry is not None and run_id not in self._waited:
                self._waited.add(run_id)
                self._tallies.observe("wait_seconds", max(0.0, now - entry.created))

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """Steps are in the ledger, and too many for a journal."""

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """A run's attempt has ended."""
        underway = self._underway.pop(run_id, None)
        batch = None if underway is None else underway.batch
        self._journal("changed", run=run_id, batch=batch, state=state, cause=cause)
        if state not in (State.QUEUED, State.PREEMPTED):
            self._waited.discard(run_id)
        if state is State.SUCCEEDED and underway is not None:
            self._tallies.observe("run_seconds", max(0.0, self._clock() - underway.since))

    def noted(self, message: str) -> None:
        """Something that whoever reads the journal wants to know."""
        self._journal("noted", message=message)
