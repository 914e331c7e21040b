"""One command: its runs, resumed, planned and executed in an output folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field

from cosmos_batch.dispatch.contract import Decision, Snapshot, Step
from cosmos_batch.dispatch.execution.attempts import AttemptRecorder
from cosmos_batch.dispatch.execution.context import CheckOutput, DispatchContext, check_thread
from cosmos_batch.dispatch.execution.executor import BatchExecutor
from cosmos_batch.dispatch.execution.failure_streak import FailureStreak
from cosmos_batch.dispatch.execution.measurements import MeasurementLog
from cosmos_batch.dispatch.loop import Dispatcher
from cosmos_batch.dispatch.output.directory import OutputDirectory, output_of
from cosmos_batch.dispatch.output.manifest import write_manifest
from cosmos_batch.dispatch.resume import resume
from cosmos_batch.dispatch.scheduler.static import StaticScheduler, Waiting
from cosmos_batch.dispatch.settings import DispatchSettings, EventSink, StopToken, Throttle
from cosmos_batch.engines.base import Engine, Job
from cosmos_batch.ledger import Ledger, RunStatus
from cosmos_batch.media.verify import check_picture, check_video
from cosmos_batch.planning.cost.fit import fit
from cosmos_batch.planning.cost.model import CostModel, features
from cosmos_batch.planning.equivalence import groups_of
from cosmos_batch.planning.plan import Plan
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.traits import Shape, VideoInfo
from cosmos_batch.run import ResolvedRun


@dataclass(frozen=True, slots=True)
class Command:
    """Runs to be made by an engine."""

    runs: Sequence[ResolvedRun]
    engine: Engine
    prior: CostModel  # what is believed of the engine's cost before anything is measured
    facts: Mapping[str, VideoInfo]  # of every video of the runs, by path
    settings: DispatchSettings = field(default_factory=DispatchSettings)


def check_output(run: ResolvedRun, shape: Shape, job: Job) -> None:
    """Open a finished output and compare it with what its run asked for. Raises OutputError."""
    path, size = output_of(job.folder, shape.frames), (shape.width, shape.height)
    if shape.frames == 1:
        check_picture(path, size=size, fingerprint=run.fingerprint)
        return
    check_video(
        path,
        frames=shape.frames,
        width=shape.width,
        height=shape.height,
        fps=run.sampling.fps,
        fingerprint=run.fingerprint,
    )


def execute(
    command: Command,
    folder: OutputDirectory,
    events: EventSink,
    stop: StopToken,
    check: CheckOutput = check_output,
    checks: futures.Executor | None = None,
) -> list[RunStatus]:
    """Make the missing videos of the command's runs in the folder; return the runs' states, in their order.

    `check` opens every output before its run counts as succeeded, in `checks` (None: a thread of its own) while
    other runs are denoised. Returns early, with runs still waiting, once a stop is requested; it is where the
    first `max_alike` runs all fail for one cause.

    Raises InputError, StorageError, LedgerError and EngineError; what was finished or saved is kept, and the same
    command goes on from there.
    """

    def give_up(reason: str) -> None:
        """Stop the command, unless the user has stopped it."""
        if not stop.requested:
            stop.request(reason, for_failures=True)
            events.noted(f"stopping: {reason}")

    ledger = Ledger(folder.ledger)
    checks = checks or check_thread()
    try:
        context = DispatchContext(
            folder=folder,
            ledger=ledger,
            identity=command.engine.identity,
            costed_as=(command.prior.engine, command.prior.device),
            facts=command.facts,
            traits=command.engine.traits,
            check=check,
            settings=command.settings,
            events=events,
            checks=checks,
            streak=FailureStreak(command.settings.max_alike, command.settings.max_failures, give_up),
        )
        resume(command.runs, context)
        manifest = ManifestMonitor(context, [run.id for run in command.runs])
        _dispatcher(command, context, manifest, stop).run()
        return manifest.write()
    finally:
        checks.shutdown()
        ledger.close()


def _dispatcher(
    command: Command, context: DispatchContext, manifest: ManifestMonitor, stop: StopToken
) -> Dispatcher:
    traits, ledger = command.engine.traits, context.ledger
    measurements = MeasurementLog(ledger, command.prior, traits, context.settings.max_batch, context.counters)
    recorder = AttemptRecorder(context, measurements)
    ids = {run.id for run in command.runs}

    def waiting() -> Waiting:
        records = ledger.queries.waiting(ids)
        return Waiting([record.run for record in records], {record.id: record.failures for record in records})

    scheduler = StaticScheduler(CommandPlanner(command, context), waiting, measurements.max_runs)
    return Dispatcher(scheduler, BatchExecutor(command.engine, context, recorder), recorder, manifest, stop)


class CommandPlanner:
    """Plans the runs of a command with what was measured up to the moment of planning."""

    def __init__(self, command: Command, context: DispatchContext) -> None:
        self._command = command
        self._context = context
        self._cost = command.prior

    def plan(self, runs: Sequence[ResolvedRun]) -> Plan:
        """Plan runs, and emit the plan."""
        command = self._command
        measured = self._context.ledger.measurements.latest(command.prior.engine, command.prior.device)
        self._cost = fit(measured, command.prior)
        plan = plan_runs(runs, command.engine.traits, self._cost, facts=command.facts)
        self._context.events.planned(plan)
        return plan

    def batch_seconds(self, runs: Sequence[ResolvedRun]) -> float:
        """Predict the seconds of a batch of these runs."""
        groups = groups_of(runs, self._command.engine.traits, self._command.facts)
        works = [group.run_class.work for group in groups for _ in group.places]
        return self._cost.batch_seconds(features(works, branches=0))


class ManifestMonitor:
    """Keeps the manifest up to date between batches. Main thread only."""

    def __init__(self, context: DispatchContext, ids: Sequence[str]) -> None:
        self._context = context
        self._ids = set(ids)
        self._pace = Throttle(0.0, context.clock)

    def deciding(self, snapshot: Snapshot) -> None:
        """Do nothing."""

    def decided(self, decision: Decision) -> None:
        """Write the manifest between two batches, for a bounded share of the time. Raises StorageError."""
        if not isinstance(decision, Step) and self._pace.due():
            started = self._context.clock()
            self.write()
            self._pace.spent(self._context.clock() - started)

    def write(self) -> list[RunStatus]:
        """Write the manifest; return the states of the command's runs. Raises StorageError and LedgerError."""
        found = [status for status in self._context.ledger.queries.statuses() if status.id in self._ids]
        write_manifest(self._context.folder, found)
        return found
