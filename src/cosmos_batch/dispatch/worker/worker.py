"""A service's worker: it executes what waits in the ledger as long as the service runs.

The runs that a worker holds are leased, so that the end of the worker at any moment loses none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field

from cosmos_batch.dispatch.contract import ExitCode
from cosmos_batch.dispatch.execution.attempts import AttemptRecorder
from cosmos_batch.dispatch.execution.context import CheckOutput, DispatchContext, check_thread
from cosmos_batch.dispatch.execution.executor import BatchExecutor
from cosmos_batch.dispatch.execution.measurements import MeasurementLog
from cosmos_batch.dispatch.loop import Dispatcher
from cosmos_batch.dispatch.observe.counters import Counters
from cosmos_batch.dispatch.observe.log import EventLog
from cosmos_batch.dispatch.observe.service_events import ServiceEvents
from cosmos_batch.dispatch.output.directory import OutputDirectory, discard
from cosmos_batch.dispatch.scheduler.planned_queue import PlannedQueue
from cosmos_batch.dispatch.scheduler.queue import QueueScheduler
from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.dispatch.settings import DispatchSettings, StopToken
from cosmos_batch.dispatch.worker.heartbeat import Heartbeat
from cosmos_batch.dispatch.worker.inflight import InflightMarker, TrackedEngine
from cosmos_batch.dispatch.worker.monitor import WorkerMonitor
from cosmos_batch.dispatch.worker.predictions import LedgerPredictions
from cosmos_batch.dispatch.worker.queue_reader import LedgerQueueReader
from cosmos_batch.engines.base import Engine
from cosmos_batch.errors import CosmosBatchError, LedgerError, StorageError, UnavailableError
from cosmos_batch.ledger import Mode
from cosmos_batch.ledger.ports import DispatchStore
from cosmos_batch.planning.cost.model import CostModel


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of a worker."""

    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    dispatch: DispatchSettings = field(default_factory=lambda: DispatchSettings(retry_wait=5.0, guarded=True))
    poll: float = 0.1  # seconds between two looks at a queue in which nothing can begin
    longest_trouble: float = 30.0  # seconds at most between two tries while ledger or folder is unavailable
    forecast_every: float = 2.0  # seconds between two forecasts
    prediction: bool = True  # whether the rules that the service has predicted to be best hold


@dataclass(frozen=True, slots=True)
class LoadedEngine:
    """An engine that is ready to execute, with its cost model."""

    engine: Engine
    prior: CostModel  # before anything is measured


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """Where a worker works: its name, output folder, ledger, in-flight marker and log."""

    name: str  # unlike that of any other worker, ever
    folder: OutputDirectory
    ledger: DispatchStore
    marker: InflightMarker
    log: EventLog


@dataclass(frozen=True, slots=True)
class WorkerTime:
    """A clock and a way to wait, which tests replace by virtual time."""

    now: Callable[[], float] = time.time  # seconds since 1970
    sleep: Callable[[float], None] = time.sleep


class Worker:
    """Works for a service until it is stopped."""

    def __init__(
        self,
        loaded: LoadedEngine,
        place: WorkerPlace,
        settings: WorkerSettings,
        check: CheckOutput,
        clock: WorkerTime | None = None,
        checks: Executor | None = None,
    ) -> None:
        """`checks`: where outputs are opened while other runs are denoised; None: in a thread."""
        self._place = place
        self._settings = settings
        self._time = clock or WorkerTime()
        self._troubles = 0  # in a row
        self.stop = StopToken()
        traits, now = loaded.engine.traits, self._time.now
        reader = LedgerQueueReader(place.ledger, place.name)
        waiting = WaitingRuns(reader, traits, now)
        self._context = _context(loaded, place, settings.dispatch, waiting, check, now, checks)
        costs = MeasurementLog(
            place.ledger,
            loaded.prior,
            traits,
            settings.dispatch.max_batch,
            self._context.counters,
            measure_loads=not traits.steppable,  # later launches find loaded what earlier ones had
        )
        predictions = LedgerPredictions(place.ledger, now) if settings.prediction else None
        queue = PlannedQueue(waiting, traits, loaded.prior, costs, settings.scheduler, now, predictions)
        self._monitor = WorkerMonitor(
            self._context, queue, waiting, lambda: place.marker.busy, settings.forecast_every
        )
        self._recorder = AttemptRecorder(self._context, costs)
        engine = TrackedEngine(loaded.engine, place.marker)
        self.dispatcher = Dispatcher(
            QueueScheduler(reader, queue, waiting, costs, traits, settings.poll, now),
            BatchExecutor(engine, self._context, self._recorder, self._time.sleep),
            self._recorder,
            self._monitor,
            self.stop,
        )

    def run(self) -> ExitCode:
        """Work until a stop is requested, or until this process should end."""
        self._place.log("started", engine=self._context.costed_as[0])
        self._place.marker.ready()
        exit_code = self._work()
        self._monitor.ended()
        self._context.checks.shutdown()
        self._context.scorers.close()
        self._context.digest.fetcher.close()
        self._place.log("ended", why=exit_code.name.lower())
        return exit_code

    def _work(self) -> ExitCode:
        context = self._context
        heartbeat = Heartbeat(
            context.ledger, context.worker, context.leases, context.settings.lease, context.events.noted
        )
        with heartbeat:
            while not self.stop.requested:
                try:
                    self._recover()
                    exit_code = self.dispatcher.run()
                except (StorageError, LedgerError, UnavailableError) as exc:
                    self._wait_for_recovery(exc)
                else:
                    if exit_code is not ExitCode.STOPPED:
                        return exit_code
        return ExitCode.AWAY if self._paused() else ExitCode.STOPPED

    def _paused(self) -> bool:
        with suppress(LedgerError):
            return self._place.ledger.queue.poll().mode is not Mode.RUNNING
        return False

    def _wait_for_recovery(self, error: CosmosBatchError) -> None:
        """Report that ledger, folder or the engine's host is unavailable, and wait, longer every time."""
        self._troubles += 1
        self._place.log("troubled", trouble=str(error), tries=self._troubles)
        self._monitor.trouble(error)
        wait = min(self._settings.longest_trouble, self._settings.poll * 2.0 ** min(self._troubles, 20))
        until = self._time.now() + wait
        while not self.stop.requested and self._time.now() < until:
            self._time.sleep(min(0.2, wait))

    def _recover(self) -> None:
        """After trouble: check that folder and ledger answer, and requeue the runs that were held before."""
        if not self._troubles:
            return
        self._place.folder.probe()
        self._place.ledger.queue.reclaim("its worker was in trouble", worker=self._place.name)
        for attempt in self._recorder.forget() | self._context.leases.held():
            discard(self._place.folder.root, attempt)
            self._context.leases.drop(attempt)
        self._place.log("mended", tries=self._troubles)
        self._troubles = 0


def _context(
    loaded: LoadedEngine,
    place: WorkerPlace,
    settings: DispatchSettings,
    waiting: WaitingRuns,
    check: CheckOutput,
    now: Callable[[], float],
    checks: Executor | None,
) -> DispatchContext:
    counters = Counters()
    return DispatchContext(
        folder=place.folder,
        ledger=place.ledger,
        identity=loaded.engine.identity,
        costed_as=(loaded.prior.engine, loaded.prior.device),
        facts=waiting.facts,
        traits=loaded.engine.traits,
        check=check,
        settings=settings,
        events=ServiceEvents(place.log, counters, waiting.entries, now),
        clock=now,
        worker=place.name,
        counters=counters,
        checks=checks or check_thread(),
    )
