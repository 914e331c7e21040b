"""The dispatcher's loop for one command: admit the runs, then claim, plan, execute and record until none waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cosmos_batch.dispatch.execution.attempts import DispatchContext
from cosmos_batch.dispatch.execution.launch import LaunchExecutor
from cosmos_batch.dispatch.execution.measurements import MeasurementLog
from cosmos_batch.dispatch.output.manifest import write_manifest
from cosmos_batch.dispatch.resume import resume
from cosmos_batch.dispatch.settings import StopToken, Throttle
from cosmos_batch.engines.base import Engine
from cosmos_batch.ledger import RunRecord, RunStatus
from cosmos_batch.planning.plan import Plan
from cosmos_batch.run import ResolvedRun

Planner = Callable[[Sequence[ResolvedRun]], Plan]


class Executor:
    """Brings the runs of one command to their outcomes in an output folder that nobody else writes to."""

    def __init__(self, engine: Engine, planner: Planner, tools: DispatchContext, stop: StopToken) -> None:
        self._engine = engine
        self._planner = planner
        self._tools = tools
        self._stop = stop
        self._lessons = MeasurementLog(
            tools.ledger, tools.costed_as, engine.traits, tools.settings.max_batch, tools.counters
        )
        self._manifest_pace = Throttle(0.0, tools.clock)

    def execute(self, runs: Sequence[ResolvedRun]) -> list[RunStatus]:
        """Make what is missing of settled runs; return how each of them stands, in the order of submission.

        Returns early, with runs still waiting, once a stop is wanted. Raises StorageError, LedgerError and
        EngineError where going on is of no use; what was finished and saved until then is kept.
        """
        ids = {run.id for run in runs}
        resume(runs, self._tools)
        self._write_manifest(ids)
        while not self._stop.requested and (waiting := self._tools.ledger.queries.waiting(ids)):
            self._round(waiting, ids)
        return self._write_manifest(ids)

    def _round(self, waiting: Sequence[RunRecord], ids: set[str]) -> None:
        """Plan everything that waits, and execute the plan once."""
        plan = self._planner([record.run for record in waiting])
        self._tools.events.planned(plan)
        failures = {record.id: record.failures for record in waiting}
        for launch in plan.launches:
            if self._stop.requested:
                return
            runner = LaunchExecutor(self._engine, launch, self._tools, self._lessons, failures, self._stop)
            runner.execute(lambda: self._refresh_manifest(ids))

    def _refresh_manifest(self, ids: set[str]) -> None:
        if self._manifest_pace.due():
            started = self._tools.clock()
            self._write_manifest(ids)
            self._manifest_pace.spent(self._tools.clock() - started)

    def _write_manifest(self, ids: set[str]) -> list[RunStatus]:
        standings = [standing for standing in self._tools.ledger.queries.statuses() if standing.id in ids]
        write_manifest(self._tools.folder, standings)
        return standings
