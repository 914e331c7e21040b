"""One command: its runs, resumed, planned and executed in an output folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent import futures
from contextlib import closing
from dataclasses import dataclass, field

from cosmos_batch.dispatch.contract import Decision, Snapshot, Step
from cosmos_batch.dispatch.execution.attempts import AttemptRecorder
from cosmos_batch.dispatch.execution.context import CheckOutput, DispatchContext, check_thread
from cosmos_batch.dispatch.execution.executor import BatchExecutor
from cosmos_batch.dispatch.execution.failure_streak import FailureStreak
from cosmos_batch.dispatch.execution.measurements import MeasurementLog
from cosmos_batch.dispatch.loop import Dispatcher
from cosmos_batch.dispatch.output.directory import OutputDirectory, output_of
from cosmos_batch.dispatch.output.inputs import InputDigests, InputFetcher
from cosmos_batch.dispatch.output.manifest import write_manifest
from cosmos_batch.dispatch.resume import ResumeContext, resume
from cosmos_batch.dispatch.scheduler.static import StaticScheduler, Waiting
from cosmos_batch.dispatch.settings import DispatchSettings, EventSink, StopToken, Throttle
from cosmos_batch.engines.base import EngineSource, Job, Loaded
from cosmos_batch.ledger import Ledger, RunStatus
from cosmos_batch.ledger.ports import DispatchStore
from cosmos_batch.media.verify import check_picture, check_video
from cosmos_batch.planning.cost.fit import fit
from cosmos_batch.planning.cost.model import features
from cosmos_batch.planning.equivalence import groups_of
from cosmos_batch.planning.plan import Plan
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.traits import Shape, VideoInfo
from cosmos_batch.run import ResolvedRun


@dataclass(frozen=True, slots=True)
class Command:
    """Runs to be made by an engine, which is loaded if there is a run to be made."""

    runs: Sequence[ResolvedRun]
    source: EngineSource
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
    fetcher = InputFetcher()
    try:
        resumed = ResumeContext(folder, ledger, command.source.identity, events, InputDigests(fetcher))
        if not resume(command.runs, resumed):
            return write_states(command.runs, ledger, folder)
        loaded = command.source.load()
        context = DispatchContext(
            folder=folder,
            ledger=ledger,
            identity=loaded.identity,
            costed_as=(loaded.prior.engine, loaded.prior.device),
            facts=command.facts,
            traits=loaded.traits,
            check=check,
            settings=command.settings,
            events=events,
            checks=checks,
            digest=resumed.digest,
            streak=FailureStreak(command.settings.max_alike, command.settings.max_failures, give_up),
        )
        manifest = ManifestMonitor(command.runs, context)
        with closing(context.scorers):
            _dispatcher(command, loaded, context, manifest, stop).run()
        return manifest.write()
    finally:
        checks.shutdown()
        fetcher.close()
        ledger.close()


def _dispatcher(
    command: Command, loaded: Loaded, context: DispatchContext, manifest: ManifestMonitor, stop: StopToken
) -> Dispatcher:
    traits, ledger = loaded.traits, context.ledger
    measurements = MeasurementLog(ledger, loaded.prior, traits, context.settings.max_batch, context.counters)
    recorder = AttemptRecorder(context, measurements)
    ids = {run.id for run in command.runs}

    def waiting() -> Waiting:
        records = ledger.queries.waiting(ids)
        return Waiting([record.next_try for record in records], {record.id: record.failures for record in records})

    scheduler = StaticScheduler(CommandPlanner(loaded, context), waiting, measurements.max_runs)
    return Dispatcher(scheduler, BatchExecutor(loaded.engine, context, recorder), recorder, manifest, stop)


class CommandPlanner:
    """Plans the runs of a command with what was measured up to the moment of planning."""

    def __init__(self, loaded: Loaded, context: DispatchContext) -> None:
        self._prior = loaded.prior
        self._traits = loaded.traits
        self._context = context
        self._cost = loaded.prior

    def plan(self, runs: Sequence[ResolvedRun]) -> Plan:
        """Plan runs, and emit the plan."""
        measured = self._context.ledger.measurements.latest(self._prior.engine, self._prior.device)
        self._cost = fit(measured, self._prior)
        plan = plan_runs(runs, self._traits, self._cost, facts=self._context.facts)
        self._context.events.planned(plan)
        return plan

    def batch_seconds(self, runs: Sequence[ResolvedRun]) -> float:
        """Predict the seconds of a batch of these runs."""
        groups = groups_of(runs, self._traits, self._context.facts)
        works = [group.run_class.work for group in groups for _ in group.places]
        return self._cost.batch_seconds(features(works, branches=0))


class ManifestMonitor:
    """Keeps the manifest up to date between batches. Main thread only."""

    def __init__(self, runs: Sequence[ResolvedRun], context: DispatchContext) -> None:
        self._runs = runs
        self._context = context
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
        return write_states(self._runs, self._context.ledger, self._context.folder)


def write_states(runs: Sequence[ResolvedRun], ledger: DispatchStore, folder: OutputDirectory) -> list[RunStatus]:
    """Write the manifest of these runs; return their states. Raises StorageError and LedgerError."""
    ids = {run.id for run in runs}
    found = [status for status in ledger.queries.statuses() if status.id in ids]
    write_manifest(folder, found)
    return found
