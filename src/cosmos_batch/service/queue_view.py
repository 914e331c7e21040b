"""What the workers mean to do next, as they last wrote it down, and what that means for each run that waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cosmos_batch.ledger import Ledger, Mode, RunRecord, State, WorkerRecord, WorkerState

FRESH_SECONDS = 1.0  # for which what was read is believed
ALIVE_SECONDS = 15.0  # for which a worker may be silent


@dataclass(frozen=True, slots=True)
class QueueView:
    """The queue as its workers see it."""

    mode: Mode = Mode.RUNNING
    workers: Sequence[WorkerRecord] = ()
    at: float = 0.0  # when this was read, in seconds since 1970
    places: dict[str, tuple[str, float]] = field(default_factory=dict)  # by run: why it waits, when it starts

    @property
    def alive(self) -> list[WorkerRecord]:
        """The workers that have reported lately."""
        return [worker for worker in self.workers if self.at - worker.heartbeat < ALIVE_SECONDS]

    @property
    def seconds(self) -> float:
        """Predicted time of all that waits."""
        return max((float(worker.forecast.get("seconds", 0.0)) for worker in self.alive), default=0.0)

    @property
    def launches(self) -> list[dict[str, Any]]:
        """The launches that are planned, soonest first."""
        found = [launch for worker in self.alive for launch in worker.forecast.get("launches", [])]
        return sorted(found, key=lambda launch: float(launch.get("starts_in", 0.0)))

    @property
    def trouble(self) -> str:
        """What keeps the workers from working; "" where nothing does."""
        if not self.alive:
            return "no worker is alive"
        return "; ".join(
            dict.fromkeys(w.trouble or w.state for w in self.alive if w.state is WorkerState.TROUBLED)
        )


class QueueViewReader:
    """Reads the outlook, not too often."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._clock = clock
        self._latest = QueueView()
        self._lock = threading.Lock()

    def read(self) -> QueueView:
        """The outlook of just now. Raises LedgerError."""
        with self._lock:
            if not self.fresh:
                workers = self._ledger.workers.all()
                places: dict[str, tuple[str, float]] = {}
                for worker in workers:
                    places |= _places(worker)
                self._latest = QueueView(self._ledger.settings.mode(), workers, self._clock(), places)
            return self._latest

    @property
    def fresh(self) -> bool:
        """Whether reading it needs no ledger."""
        return self._clock() - self._latest.at < FRESH_SECONDS

    def forget(self) -> None:
        """What was read is out of date."""
        with self._lock:
            self._latest = QueueView()

    def wait_of(self, record: RunRecord) -> tuple[str, float | None]:
        """Why a run waits, and in how many seconds it starts; None where nobody knows."""
        outlook = self.read()
        now = self._clock()
        if record.not_before > now:
            left = record.not_before - now
            return f"{record.cause or 'it failed'}; tried again in {left:.0f} s", left
        if outlook.mode is not Mode.RUNNING:
            return f"the queue is {outlook.mode}", None
        if trouble := outlook.trouble:
            return trouble, None
        reason, starts = outlook.places.get(record.id, ("", 0.0))
        before = f"set aside: {record.cause}" if record.state is State.PREEMPTED else ""
        if not reason:
            return before or "gathers with others, to be planned with them", None
        return "; ".join(filter(None, (before, reason))), max(0.0, starts - now) if starts else None


def _places(worker: WorkerRecord) -> dict[str, tuple[str, float]]:
    """Why runs wait, by id, and when they start (seconds since 1970; 0 where that is not known)."""
    places: dict[str, tuple[str, float]] = {}
    at = float(worker.forecast.get("at", 0.0))
    ahead = 0
    for launch in worker.forecast.get("launches", []):
        for batch in launch.get("batches", []):
            behind = "next" if not ahead else f"behind {ahead} batch{'es' if ahead > 1 else ''}"
            starts = at + float(batch.get("starts_in", 0.0))
            places |= dict.fromkeys(batch.get("runs", []), (f"{behind}; {launch.get('reason', '')}", starts))
            ahead += 1
    held = worker.forecast.get("held_back", {})
    return places | {run: (str(why), 0.0) for run, why in held.items()}
