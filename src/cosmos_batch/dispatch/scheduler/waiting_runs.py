"""In-memory copy of the waiting runs, in step with the ledger, so that reading many of them costs no query."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import attrgetter

from cosmos_batch.dispatch.scheduler.ports import WaitingSource
from cosmos_batch.ledger import QueueEntry
from cosmos_batch.planning.equivalence import ClassSource, RunClass, RunClasses
from cosmos_batch.planning.plan import Kind
from cosmos_batch.planning.traits import Traits, VideoInfo
from cosmos_batch.run import ResolvedRun

_CRASHES = attrgetter("crashes")
RESCAN_SECONDS = 60.0  # after which everything is read again, so that no fault of the copy lasts longer


class WaitingRuns:
    """The waiting runs as of the latest `refresh`. Main thread only."""

    def __init__(
        self,
        source: WaitingSource,
        traits: Traits,
        clock: Callable[[], float] = time.time,
        rescan: float = RESCAN_SECONDS,
        classes: ClassSource | None = None,
    ) -> None:
        """`rescan`: seconds after which everything is read again; `classes`: of runs; None: by the traits."""
        self._source = source
        self._alike = classes or RunClasses(traits)
        self._clock = clock
        self._rescan_seconds = rescan
        self._latest: int | None = None
        self._scanned = clock()
        self._runs: dict[str, tuple[tuple[str, int], ResolvedRun]] = {}  # by id, with `_version` of its entry
        self._classes: dict[str, tuple[ResolvedRun, RunClass]] = {}
        self.entries: dict[str, QueueEntry] = {}
        self.facts: dict[str, VideoInfo] = {}  # of the runs' videos, by path

    @property
    def latest(self) -> int | None:
        """The id of the latest change that was read; None before the first `refresh`."""
        return self._latest

    def refresh(self, latest: int) -> list[str]:
        """Catch up with the ledger, whose latest change is that; return the waiting runs that may have changed."""
        if latest == self._latest:
            return []
        if self._latest is None or self._clock() - self._scanned >= self._rescan_seconds:
            return self._rescan()
        changes = self._source.changes_since(self._latest)
        self._latest = changes.latest
        for run_id in changes.gone:
            self.forget(run_id)
        return self._note(changes.waiting)

    def _rescan(self) -> list[str]:
        changes = self._source.changes_since()
        self._latest, self._scanned = changes.latest, self._clock()
        for run_id in self.entries.keys() - {entry.id for entry in changes.waiting}:
            self.forget(run_id)
        return self._note(changes.waiting)

    def _note(self, waiting: Iterable[QueueEntry]) -> list[str]:
        changed = []
        for entry in waiting:
            self.entries[entry.id] = entry
            changed.append(entry.id)
        return changed

    def forget(self, run_id: str) -> None:
        """Drop a run that does not wait any more."""
        self.entries.pop(run_id, None)
        self._runs.pop(run_id, None)
        self._classes.pop(run_id, None)

    def runs(self, ids: Iterable[str]) -> list[ResolvedRun]:
        """Return the requests of runs, with their present priority, without runs that do not wait any more."""
        entries, known = self.entries, self._runs
        wanted = [entry for id_ in ids if (entry := entries.get(id_)) is not None]
        unknown = [
            entry.id for entry in wanted if (held := known.get(entry.id)) is None or held[0] != _version(entry)
        ]
        if unknown:
            for request in self._source.requests(unknown):
                known[request.id] = _version(entries[request.id]), request.run
                self.facts.update(request.facts)
        return [self._run(entry, held[1]) for entry in wanted if (held := known.get(entry.id)) is not None]

    def _run(self, entry: QueueEntry, run: ResolvedRun) -> ResolvedRun:
        """Return a run with its present priority."""
        if run.priority != entry.priority:
            run = replace(run, priority=entry.priority)
            self._runs[entry.id] = self._runs[entry.id][0], run
        return run

    def any_suspect(self, runs: Iterable[ResolvedRun]) -> bool:
        """Return whether a run has crashed a worker: it is alone, and its launch shares no session."""
        entries = self.entries
        known = [entries[run.id] for run in runs if run.id in entries]
        return any(map(_CRASHES, known))

    def kind_of(self, run_id: str) -> Kind | None:
        """Return the kind of a run, whether it waits or not; None for one that the ledger does not have."""
        for request in self._source.requests([run_id]):
            self.facts.update(request.facts)
            found = self._alike.of(request.run, self.facts)
            return Kind(found.launch_key, found.signature)
        return None

    def run_class(self, run: ResolvedRun) -> RunClass:
        """Return the planner's class of a run."""
        known = self._classes.get(run.id)
        if known is None or not (known[0] is run or known[0].fingerprint == run.fingerprint):
            known = run, self._alike.of(run, self.facts)
            self._classes[run.id] = known
        return known[1]


def _version(entry: QueueEntry) -> tuple[str, int]:
    """What tells a request from one that replaced it, and an attempt from the next, which has another seed."""
    return entry.fingerprint, entry.tries
