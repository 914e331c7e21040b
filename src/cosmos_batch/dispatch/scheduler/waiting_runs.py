"""The runs that wait, kept in memory in step with the ledger, so that looking at many of them costs no query."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from cosmos_batch.ledger import Ledger, QueueEntry
from cosmos_batch.planning.equivalence import RunClass, groups_of
from cosmos_batch.planning.traits import Traits, VideoInfo
from cosmos_batch.run import ResolvedRun

RESCAN_SECONDS = 60.0  # a database may let a change be seen after a later one: so everything is read now and then


class WaitingRuns:
    """What waits in the ledger, as of the latest `refresh`."""

    def __init__(self, ledger: Ledger, traits: Traits, clock: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._traits = traits
        self._clock = clock
        self._latest: int | None = None
        self._scanned = clock()
        self._runs: dict[str, tuple[str, ResolvedRun]] = {}
        self._kinds: dict[str, tuple[ResolvedRun, RunClass]] = {}
        self.entries: dict[str, QueueEntry] = {}
        self.facts: dict[str, VideoInfo] = {}  # of the runs' videos, by path

    @property
    def latest(self) -> int | None:
        """The id of the latest change that is taken account of; None before the first `refresh`."""
        return self._latest

    def refresh(self, latest: int) -> list[str]:
        """Catch up with the ledger, whose latest change is that; the ids of waiting runs that may have changed."""
        if latest == self._latest:
            return []
        if self._latest is None or self._clock() - self._scanned >= RESCAN_SECONDS:
            return self._rescan()
        news = self._ledger.queue.changes_since(self._latest)
        self._latest = news.latest
        for run_id in news.gone:
            self._forget(run_id)
        return self._note(news.waiting)

    def _rescan(self) -> list[str]:
        news = self._ledger.queue.changes_since()
        self._latest, self._scanned = news.latest, self._clock()
        for run_id in self.entries.keys() - {entry.id for entry in news.waiting}:
            self._forget(run_id)
        return self._note(news.waiting)

    def _note(self, waiting: Iterable[QueueEntry]) -> list[str]:
        noted = {entry.id: entry for entry in waiting}
        self.entries.update(noted)
        return list(noted)

    def _forget(self, run_id: str) -> None:
        self.entries.pop(run_id, None)
        self._runs.pop(run_id, None)
        self._kinds.pop(run_id, None)

    def runs(self, ids: Iterable[str]) -> list[ResolvedRun]:
        """The requests of runs, with the priority that they have now; those that are gone are left out."""
        wanted = [entry for id_ in ids if (entry := self.entries.get(id_))]
        unknown = [entry.id for entry in wanted if self._runs.get(entry.id, ("",))[0] != entry.fingerprint]
        if unknown:
            for request in self._ledger.queries.requests(unknown):
                self._runs[request.id] = request.fingerprint, request.run
                self.facts.update(request.facts)
        return [run for entry in wanted if (run := self._run(entry))]

    def _run(self, entry: QueueEntry) -> ResolvedRun | None:
        fingerprint, run = self._runs.get(entry.id, ("", None))
        if run is None or run.priority == entry.priority:
            return run
        run = replace(run, priority=entry.priority)
        self._runs[entry.id] = fingerprint, run
        return run

    def run_class(self, run: ResolvedRun) -> RunClass:
        """What the planner wants to know of a run."""
        known = self._kinds.get(run.id)
        if known is None or not (known[0] is run or known[0].fingerprint == run.fingerprint):
            known = run, groups_of([run], self._traits, self.facts)[0].run_class
            self._kinds[run.id] = known
        return known[1]
