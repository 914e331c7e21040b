"""The queue of a service in memory, with the methods of the ledger's queue that schedulers use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cosmos_batch.ledger.models import Mode, QueueChanges, QueueEntry, QueuePoll, Request
from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.run import ResolvedRun


class QueueInMemory:
    """Waiting runs and their changes. Every change is seen at once, in order."""

    def __init__(self, facts: Mapping[str, VideoInfo]) -> None:
        self._facts = facts
        self._waiting: dict[str, QueueEntry] = {}
        self._runs: dict[str, ResolvedRun] = {}
        self._changed: list[str] = []  # ids of runs, in the order of their changes
        self._poll = QueuePoll(0, Mode.RUNNING)

    def __len__(self) -> int:
        return len(self._waiting)

    def poll(self) -> QueuePoll:
        """Return the number of the latest change and the queue's mode."""
        return self._poll

    def changes_since(self, after: int | None = None) -> QueueChanges:
        """Return the changes after the change with that number; for None, all waiting runs."""
        if after is None:
            return QueueChanges(self._poll.latest, list(self._waiting.values()), [])
        waiting, gone = [], []
        for run_id in dict.fromkeys(self._changed[after:]):
            entry = self._waiting.get(run_id)
            if entry is None:
                gone.append(run_id)
            else:
                waiting.append(entry)
        return QueueChanges(self._poll.latest, waiting, gone)

    def requests(self, ids: Iterable[str]) -> list[Request]:
        """Return the requests of runs by id; a run's id stands for its fingerprint."""
        return [Request(run_id, run_id, self._runs[run_id], self._facts) for run_id in ids]

    def cancel_requests(self) -> list[str]:
        """Return no run: none of a trace is cancelled."""
        return []

    def put(self, run: ResolvedRun, created: float, *, not_before: float = 0.0, crashes: int = 0) -> None:
        """Let a run wait, for the first time or again."""
        self._runs[run.id] = run
        self._waiting[run.id] = QueueEntry(run.id, run.id, run.priority, created, not_before, 0, crashes)
        self._note(run.id)

    def claim(self, runs: Sequence[ResolvedRun]) -> list[ResolvedRun]:
        """Claim those of the runs that wait."""
        taken = []
        for run in runs:
            if self._waiting.pop(run.id, None) is not None:
                taken.append(run)
                self._note(run.id)
        return taken

    def drop(self, run_id: str) -> None:
        """End a waiting run."""
        if self._waiting.pop(run_id, None) is not None:
            self._note(run_id)

    def _note(self, run_id: str) -> None:
        self._changed.append(run_id)
        self._poll = QueuePoll(len(self._changed), Mode.RUNNING)
