"""Everything that one command needs, put together: folder, ledger, cost model, executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field

from cosmos_batch.dispatch.execution.attempts import CheckOutput, DispatchContext, check_thread
from cosmos_batch.dispatch.output.directory import OUTPUT, OutputDirectory
from cosmos_batch.dispatch.output.provenance import InputDigests
from cosmos_batch.dispatch.scheduler.static import Executor, Planner
from cosmos_batch.dispatch.settings import DispatchSettings, EventSink, StopToken
from cosmos_batch.engines.base import Engine, Job
from cosmos_batch.ledger import Ledger, RunStatus
from cosmos_batch.media.verify import check_video
from cosmos_batch.planning.cost.fit import fit
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Plan
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.resolve import leading_facts
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
    check_video(
        job.folder / OUTPUT,
        frames=shape.frames,
        width=shape.width,
        height=shape.height,
        fps=run.sampling.fps,
        fingerprint=run.fingerprint,
    )


def execute(
    command: Command,
    folder: OutputDirectory,
    watcher: EventSink,
    stop: StopToken,
    check: CheckOutput = check_output,
    checks: futures.Executor | None = None,
) -> list[RunStatus]:
    """Make what is missing of the command's runs in the folder; return how each of them stands.

    `check` opens every output before its run counts as succeeded, in `checks` (None: a thread of its own) where
    other runs are denoised meanwhile.

    Raises InputError, StorageError, LedgerError and EngineError; what was finished or saved is kept, and the same
    command goes on from there.
    """
    ledger = Ledger(folder.ledger)
    checks = checks or check_thread()
    try:
        tools = DispatchContext(
            folder=folder,
            ledger=ledger,
            identity=command.engine.identity,
            costed_as=(command.prior.engine, command.prior.device),
            digest=InputDigests(),
            shape=lambda run: command.engine.traits.finished(run, leading_facts(run, command.facts)),
            check=check,
            settings=command.settings,
            events=watcher,
            checks=checks,
        )
        return Executor(command.engine, _planner(command, ledger), tools, stop).execute(command.runs)
    finally:
        checks.shutdown()
        ledger.close()


def _planner(command: Command, ledger: Ledger) -> Planner:
    """Plans with what has been learnt up to the moment of planning."""

    def plan(runs: Sequence[ResolvedRun]) -> Plan:
        measured = ledger.measurements.latest(command.prior.engine, command.prior.device)
        cost = fit(measured, command.prior)
        return plan_runs(runs, command.engine.traits, cost, facts=command.facts)

    return plan
