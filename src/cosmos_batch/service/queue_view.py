"""The queue as the workers' forecasts show it: planned launches, and why each waiting run waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cosmos_batch.ledger import Ledger, Mode, RunRecord, State, WorkerRecord, WorkerState
from cosmos_batch.ledger.forecast import Forecast, LaunchForecast

FRESH_SECONDS = 1.0  # for which a view is used before the ledger is read again
ALIVE_SECONDS = 15.0  # since its last heartbeat, for which a worker counts as alive


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

    @property
    def alive(self) -> list[WorkerRecord]:
        """The workers with a recent heartbeat."""
        return [worker for worker in self.workers if self.at - worker.heartbeat < ALIVE_SECONDS]

    @property
    def seconds(self) -> float:
        """The predicted time of all waiting runs."""
        return max((forecast.seconds for forecast in self._alive_forecasts), default=0.0)

    @property
    def launches(self) -> list[LaunchForecast]:
        """The planned launches, soonest first."""
        found = [launch for forecast in self._alive_forecasts for launch in forecast.launches]
        return sorted(found, key=lambda launch: launch.starts_in)

    @property
    def held_back(self) -> dict[str, str]:
        """The runs that may not start yet, with the reason, by id."""
        return {run: why for forecast in self._alive_forecasts for run, why in forecast.held_back.items()}

    @property
    def flushed(self) -> str:
        """Why the planned batches were formed; "" where there are none."""
        return next((forecast.flushed for forecast in self._alive_forecasts if forecast.flushed), "")

    @property
    def _alive_forecasts(self) -> list[Forecast]:
        return [self.forecasts[worker.id] for worker in self.alive]

    @property
    def trouble(self) -> str:
        """Why the workers cannot work; "" where they can."""
        if not self.alive:
            return "no worker is alive"
        return "; ".join(
            dict.fromkeys(w.trouble or w.state for w in self.alive if w.state is WorkerState.TROUBLED)
        )


class QueueViewReader:
    """Reads the queue view from the ledger, at most once every `FRESH_SECONDS`."""

    def __init__(self, ledger: Ledger, flush_seconds: float, clock: Callable[[], float] = time.time) -> None:
        """`flush_seconds`: the workers' bound on the time that a run waits for others to batch with."""
        self._ledger = ledger
        self._flush_seconds = flush_seconds
        self._clock = clock
        self._latest = QueueView()
        self._lock = threading.Lock()

    def read(self) -> QueueView:
        """Read the view. Raises LedgerError."""
        with self._lock:
            if not self.fresh:
                workers = self._ledger.workers.all()
                forecasts = {worker.id: Forecast.from_json(worker.forecast) for worker in workers}
                self._latest = QueueView(
                    mode=self._ledger.settings.mode(),
                    workers=workers,
                    forecasts=forecasts,
                    at=self._clock(),
                    places={run: place for each in forecasts.values() for run, place in _places(each).items()},
                )
            return self._latest

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
        if record.not_before > now:
            left = record.not_before - now
            return f"{record.cause or 'it failed'}; retry in {left:.0f} s", left
        if view.mode is not Mode.RUNNING:
            return f"the queue is {view.mode}", None
        if trouble := view.trouble:
            return trouble, None
        preempted = (record.cause or "preempted") if record.state is State.PREEMPTED else ""
        place = view.places.get(record.id)
        if place is None:
            return preempted or self._unplanned(record, now), None
        seconds = None if place.starts is None else max(0.0, place.starts - now)
        return "; ".join(filter(None, (preempted, place.reason))), seconds

    def _unplanned(self, record: RunRecord, now: float) -> str:
        left = record.updated + self._flush_seconds - now
        return (
            f"waiting for more runs to batch with, at most {left:.0f} s" if left > 0 else "waiting to be planned"
        )


def _places(forecast: Forecast) -> dict[str, QueuePlace]:
    """Find the place of every run that a forecast names."""
    places: dict[str, QueuePlace] = {}
    runs_before = 0
    for launch in forecast.launches:
        for batch in launch.batches:
            before = f"behind {_runs(runs_before)}" if runs_before else "next"
            place = QueuePlace(f"{before}; {launch.reason}", forecast.at + batch.starts_in)
            places |= dict.fromkeys(batch.runs, place)
            runs_before += batch.runs_total
    return places | {run: QueuePlace(reason, None) for run, reason in forecast.held_back.items()}


def _runs(count: int) -> str:
    return "1 run that starts earlier" if count == 1 else f"{count:,} runs that start earlier"
