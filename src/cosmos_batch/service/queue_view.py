"""The queue as the workers' forecasts show it: planned launches, and why each waiting run waits.

While the queue is paused or drained, the plan of the server takes the place of the workers' forecasts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from cosmos_batch.dispatch.scheduler.forecast import MOST_BATCHES
from cosmos_batch.ledger import Ledger, Mode, RunRecord, State, WorkerRecord, WorkerState
from cosmos_batch.ledger.forecast import Forecast, LaunchForecast

FRESH_SECONDS = 1.0  # for which a view is used before the ledger is read again
ALIVE_SECONDS = 15.0  # since its last heartbeat, for which a worker counts as alive

STOPPED: Mapping[Mode, str] = {
    Mode.PAUSED: "the queue is paused: it resumes when you say so",
    Mode.DRAINING: "the queue is draining: no other run starts until you resume it",
}
"""Why no run starts in a mode."""


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """A run's place in the forecast."""

    reason: str  # why it waits
    starts: float | None  # predicted start, in seconds since 1970; None: not known


@dataclass(frozen=True, slots=True)
class QueueView:
    """The queue at one moment."""

    mode: Mode = Mode.RUNNING
    workers: Sequence[WorkerRecord] = ()
    forecasts: Mapping[str, Forecast] = field(default_factory=dict)  # by worker
    at: float = 0.0  # when it was read, in seconds since 1970
    places: Mapping[str, QueuePlace] = field(default_factory=dict)  # of the planned runs, by id
    planned: Forecast | None = None  # by the server; None while the queue is running, and workers plan
    busy: Mapping[str, float] = field(default_factory=dict)  # seconds until each worker's batch ends, by worker

    @property
    def alive(self) -> list[WorkerRecord]:
        """The workers with a recent heartbeat."""
        return [worker for worker in self.workers if self.at - worker.heartbeat < ALIVE_SECONDS]

    @property
    def seconds(self) -> float:
        """The predicted time of all waiting runs, on one device."""
        return max((forecast.seconds for forecast in self._forecasts), default=0.0)

    @property
    def starts_in(self) -> float:
        """The seconds after which a run that comes now starts at the latest, while the queue is running."""
        busy = [self.busy_for(worker.id) for worker in self.alive]
        return min(busy, default=0.0) + self.seconds / max(1, len(busy))

    def busy_for(self, worker: str) -> float:
        """Return the seconds until the batch of a worker ends."""
        return max(0.0, self.busy.get(worker, 0.0))

    @property
    def unnamed_behind(self) -> int:
        """How many runs are before those that wait and that no forecast names; 0: not known."""
        shown = [each for each in self._forecasts if _batches(each) >= MOST_BATCHES]
        return max((_runs_named(each) for each in shown), default=0)

    @property
    def launches(self) -> list[LaunchForecast]:
        """The planned launches, soonest first."""
        found = [launch for forecast in self._forecasts for launch in forecast.launches]
        return sorted(found, key=lambda launch: launch.starts_in)

    @property
    def held_back(self) -> dict[str, str]:
        """The runs that may not start yet, with the reason, by id."""
        return {run: why for forecast in self._forecasts for run, why in forecast.held_back.items()}

    @property
    def flushed(self) -> str:
        """Why the planned batches were formed; "" where there are none."""
        return next((forecast.flushed for forecast in self._forecasts if forecast.flushed), "")

    @property
    def _forecasts(self) -> list[Forecast]:
        if self.planned is not None:
            return [self.planned]
        return [self.forecasts[worker.id] for worker in self.alive]

    @property
    def waits_for(self) -> str:
        """Why no run starts now, whatever its place; "" where runs start."""
        return STOPPED.get(self.mode) or self.trouble

    @property
    def trouble(self) -> str:
        """Why the workers cannot work; "" where they can, or where the queue is paused or drained on purpose."""
        if not self.alive:
            return "no worker is alive" if self.mode is Mode.RUNNING else ""
        return "; ".join(
            dict.fromkeys(w.trouble or w.state for w in self.alive if w.state is WorkerState.TROUBLED)
        )


class QueueViewReader:
    """Reads the queue view from the ledger, at most once every `FRESH_SECONDS`."""

    def __init__(
        self,
        ledger: Ledger,
        flush_seconds: float,
        clock: Callable[[], float] = time.time,
        plan: Callable[[], Forecast] = Forecast,
    ) -> None:
        """`flush_seconds`: the workers' bound on the time that a run waits for others to batch with.

        `plan` plans the waiting runs while the workers do not.
        """
        self._plan = plan
        self._ledger = ledger
        self._flush_seconds = flush_seconds
        self._clock = clock
        self._latest = QueueView()
        self._lock = threading.Lock()

    def read(self) -> QueueView:
        """Read the view. Raises LedgerError."""
        with self._lock:
            if not self.fresh:
                self._latest = self._read()
            return self._latest

    def _read(self) -> QueueView:
        workers, mode = self._ledger.workers.all(), self._ledger.settings.mode()
        view = QueueView(
            mode=mode,
            workers=workers,
            forecasts={worker.id: Forecast.from_json(worker.forecast) for worker in workers},
            at=self._clock(),
            planned=None if mode is Mode.RUNNING else self._plan(),
            busy=self._ledger.queue.remaining_seconds() if workers else {},
        )
        return replace(view, places=_all_places(view))

    @property
    def fresh(self) -> bool:
        """Whether `read` answers without the ledger."""
        return self._clock() - self._latest.at < FRESH_SECONDS

    def forget(self) -> None:
        """Make the next `read` ask the ledger."""
        with self._lock:
            self._latest = QueueView()

    def wait_of(self, record: RunRecord) -> tuple[str, float | None]:
        """Explain why a run waits, and in how many seconds it starts; None: not known. Raises LedgerError."""
        view = self.read()
        now = self._clock()
        place = view.places.get(record.id)
        if stopped := STOPPED.get(view.mode):
            return "; ".join(
                filter(None, (stopped, place.reason if place else _behind(view.unnamed_behind)))
            ), None
        if record.not_before > now:
            left = record.not_before - now
            return f"{record.cause or 'it failed'}; retry in {ceil(left)} s", left
        if trouble := view.trouble:
            return trouble, None
        preempted = _preempted(record)
        if place is None:
            return preempted or self._unplanned(record, view.unnamed_behind, now), None
        seconds = None if place.starts is None else max(0.0, place.starts - now)
        return "; ".join(filter(None, (preempted, place.reason))), seconds

    def _unplanned(self, record: RunRecord, behind: int, now: float) -> str:
        left = record.updated + self._flush_seconds - now
        if left > 0:
            return f"waiting for more runs to batch with, at most {ceil(left)} s"
        return _behind(behind) or "waiting to be planned"


def _preempted(record: RunRecord) -> str:
    """The cause of a preemption by another run; "" where the run was saved for a pause or a stop."""
    cause = record.cause or "preempted"
    return cause if record.state is State.PREEMPTED and cause.startswith("preempted") else ""


def _behind(runs: int) -> str:
    return f"behind at least {_runs(runs)}" if runs else ""


def _batches(forecast: Forecast) -> int:
    return sum(len(launch.batches) for launch in forecast.launches)


def _runs_named(forecast: Forecast) -> int:
    return sum(batch.runs_total for launch in forecast.launches for batch in launch.batches)


def _all_places(view: QueueView) -> dict[str, QueuePlace]:
    """Find the place of every run that a forecast names.

    All workers take from the one queue, each when its batch has ended.
    """
    if view.planned is not None:
        return _places(view.planned, view.at, 1)
    places: dict[str, QueuePlace] = {}
    for worker, forecast in view.forecasts.items():
        busy = view.busy_for(worker)
        places |= _places(forecast, view.at + busy if busy else forecast.at, max(1, len(view.alive)))
    return places


def _places(forecast: Forecast, free: float, workers: int) -> dict[str, QueuePlace]:
    """Find the place of every run that a forecast names; `free`: when the first of them can start."""
    places: dict[str, QueuePlace] = {}
    runs_before = 0
    for launch in forecast.launches:
        for batch in launch.batches:
            before = f"behind {_runs(runs_before)}" if runs_before else "next"
            place = QueuePlace(f"{before}; {launch.reason}", free + batch.starts_in / workers)
            places |= dict.fromkeys(batch.runs, place)
            runs_before += batch.runs_total
    return places | {run: QueuePlace(reason, None) for run, reason in forecast.held_back.items()}


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"
