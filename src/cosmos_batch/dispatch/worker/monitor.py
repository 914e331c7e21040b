"""Monitor of a worker: reports its state and forecast, writes its counters, requeues runs of silent workers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from cosmos_batch.dispatch.contract import Decision, Idle, Snapshot, Start, Step, Switch
from cosmos_batch.dispatch.execution.context import DispatchContext
from cosmos_batch.dispatch.scheduler.forecast import forecast
from cosmos_batch.dispatch.scheduler.planned_queue import PLANNING_SHARE, PlannedQueue
from cosmos_batch.dispatch.scheduler.waiting_runs import WaitingRuns
from cosmos_batch.dispatch.settings import Throttle
from cosmos_batch.errors import CosmosBatchError, LedgerError
from cosmos_batch.ledger import WorkerState


class WorkerMonitor:
    """Reports to the ledger what a worker does. Main thread only."""

    def __init__(
        self,
        context: DispatchContext,
        queue: PlannedQueue,
        waiting: WaitingRuns,
        engine_seconds: Callable[[], float],
        forecast_every: float,
    ) -> None:
        """`engine_seconds`: spent in the engine so far; `forecast_every`: seconds between two forecasts."""
        self._context = context
        self._queue = queue
        self._waiting = waiting
        self._engine_seconds = engine_seconds
        self._state = WorkerState.STARTING
        self._counted: tuple[float, float] | None = None  # time and engine seconds when they were last counted
        self._forecast_pace = Throttle(forecast_every, context.clock, PLANNING_SHARE)
        self._sweep_pace = Throttle(context.settings.lease / 4, context.clock)

    def deciding(self, snapshot: Snapshot) -> None:
        """Between batches, requeue runs whose leases have expired. Raises LedgerError."""
        if snapshot.running or not self._sweep_pace.due():
            return
        back, poisoned = self._context.ledger.crashes.requeue_silent()
        if back:
            self._context.events.noted(f"{len(back)} runs of silent workers wait again")
            self._context.counters.count("poisoned", float(len(poisoned)))
        for run_id, evidence in poisoned.items():
            self._context.events.noted(f"{run_id} is {evidence}")
        self._sweep_pace.spent(0.0)

    def decided(self, decision: Decision) -> None:
        """Report the worker's state, count the engine's time. Raises LedgerError."""
        match decision:
            case Step():
                self._report_step()
            case Start() | Switch():
                self._count()
                self._report(WorkerState.WORKING)
            case Idle():
                self._count(idle=True)
                self._report(WorkerState.IDLE)
            case _:
                self._count()

    def trouble(self, error: CosmosBatchError) -> None:
        """Report that dispatching is interrupted by an error."""
        self._state = WorkerState.TROUBLED
        with suppress(LedgerError):
            self._context.ledger.workers.report(self._context.worker, self._state, trouble=str(error))

    def ended(self) -> None:
        """Report that the worker ends."""
        self._count()
        with suppress(CosmosBatchError):
            self._context.ledger.workers.report(self._context.worker, WorkerState.ENDED)

    def _report_step(self) -> None:
        """Every so often, plan what has gathered while a batch is running, and report it."""
        if self._forecast_pace.due():
            self._queue.gather()
            self._report(WorkerState.WORKING)

    def _report(self, state: WorkerState) -> None:
        """Report the state when it changes, and the forecast every so often."""
        if state is self._state and not self._forecast_pace.due():
            return
        now = self._context.clock()
        queue, waiting = self._queue, len(self._waiting.entries)
        view = forecast(queue.launches, waiting, queue.deferred(now), queue.flushed, now, queue.loaded)
        self._context.ledger.workers.report(self._context.worker, state, forecast=view.as_json())
        self._state = state
        self._forecast_pace.spent(self._context.clock() - now)

    def _count(self, *, idle: bool = False) -> None:
        """Count the seconds in and beside the engine since the last time, unless no run was ready then."""
        now, busy = self._context.clock(), self._engine_seconds()
        if self._counted is not None:
            since, busy_before = self._counted
            self._context.counters.count("engine_seconds", busy - busy_before)
            self._context.counters.count("idle_seconds", max(0.0, now - since - (busy - busy_before)))
        self._counted = None if idle else (now, busy)
        self._context.counters.write(self._context.ledger.measurements)
