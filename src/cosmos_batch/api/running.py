"""Runs made in this process: an iterator of their results, in the order in which they end."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType

from cosmos_batch.addresses import address_of
from cosmos_batch.api.result import RunResult, results_html
from cosmos_batch.api.sources import NO_OPTIONS, NO_SETTINGS, checked, engine_choice
from cosmos_batch.dispatch.command import Command, execute
from cosmos_batch.dispatch.output.directory import OutputDirectory, output_of
from cosmos_batch.dispatch.output.named_outputs import NamedOutputs
from cosmos_batch.dispatch.resume import obstacles_in
from cosmos_batch.dispatch.settings import DispatchSettings, StopToken
from cosmos_batch.engines.inprocess.options import Options
from cosmos_batch.engines.registry import BuiltInEngines, Engines
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.run_like import RunSource
from cosmos_batch.ledger import ENDED, Ledger, RunStatus, State
from cosmos_batch.planning.plan import Plan
from cosmos_batch.scoring.scores import flags_of


def run(
    runs: RunSource | Iterable[RunSource],
    *,
    out: str | Path,
    model: str | None = None,
    engine: str | None = None,
    config: str | Path | None = None,
    options: Options = NO_OPTIONS,
    settings: Mapping[str, object] = NO_SETTINGS,
    skip_invalid: bool = False,
    max_batch: int | None = None,
    max_failures: int = 3,
    save_every: float = 20.0,
    engines: Engines | None = None,
) -> RunResults:
    """Make the videos of runs, sweeps or files of them in the folder `out`; yields each result as its run ends.

    `model`, `engine`, `config` and `options` choose the engine as for the command `run`; without them it is the
    pocket model. `out` may be a pattern, as for `-o`. `settings`: sampling settings in place of those of every
    run, and scores to be reached: `{"num_steps": 4, "accept": {"edge_f1": ">0.5"}, "attempts": 2}`.
    `skip_invalid`: make the valid runs, and leave out the others. `engines`: in place of the built-in ones.

    The input is checked at the call; the runs are made from the first `next` on, while results are used. What
    the folder has already is yielded without being made again. A failed run is a result, and no exception.

    Raises InputError with all problems at once, PlanError and ModelError for an engine that cannot be, and
    StorageError for a folder that cannot be used; while iterating, errors that affect all runs.
    """
    if address_of(str(out)):
        remedy = "give a folder; cosmos-batch run -o writes to buckets"
        raise InputError([Problem("", None, "out", str(out), "is an address", remedy)])
    engines = engines or BuiltInEngines()
    choice = engine_choice(engine, model, config, options)
    preview = engines.preview(choice, executes=True)
    requests, warnings = checked(runs, preview, settings)
    outputs = NamedOutputs.of(Path(out), lambda: requests.resolved(preview.traits))
    requests = requests.named(outputs)
    with OutputDirectory(outputs.root) as folder:
        requests = requests.without(obstacles_in(folder, requests.runs))
    if requests.problems and not (skip_invalid and requests.runs):
        raise InputError(requests.problems)
    controls = {name for each in requests.runs for name in each.signature}
    source = engines.source(choice, controls)
    limits = DispatchSettings(save_every=save_every, max_failures=max_failures, max_batch=max_batch)
    command = Command(requests.resolved(source.traits), source, requests.facts, limits)
    return RunResults(_Execution(command, outputs, warnings))


class RunResults(Iterator[RunResult]):
    """Iterator of results, in the order in which the runs end.

    Closed by `close`, at the end of a `with` block, when it is not used any more, by Ctrl-C, and when the process
    ends: the running runs are saved at their next step, what was made stays, and the same call continues from
    there.
    """

    def __init__(self, execution: _Execution) -> None:
        self._execution = execution
        self._seen: list[RunResult] = []
        self._close = weakref.finalize(self, execution.close)

    def __next__(self) -> RunResult:
        try:
            result = self._execution.next()
        except BaseException:
            self.close()
            raise
        self._seen.append(result)
        return result

    def __enter__(self) -> RunResults:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop at the next step; returns once checkpoints are written and the folder is free."""
        self._close()

    def _repr_html_(self) -> str:
        """The results so far as a table, for notebooks."""
        return results_html(self._seen, f"{len(self._seen)} of {self._execution.total} runs have ended")


@dataclass(frozen=True, slots=True)
class _Over:
    """The end of an execution."""

    error: BaseException | None  # None: all runs have ended


class _Execution:
    """Executes a command in a thread of its own, which is the main thread to all that dispatching does."""

    def __init__(
        self, command: Command, outputs: NamedOutputs, warnings: Mapping[str, tuple[Problem, ...]]
    ) -> None:
        self.total = len(command.runs)
        self._command = command
        self._outputs = outputs
        self.ids = {run.id for run in command.runs}
        self._warnings = warnings
        self._stop = StopToken()
        self._results: SimpleQueue[RunResult | _Over] = SimpleQueue()
        self._thread: Thread | None = None
        self._over = False

    def next(self) -> RunResult:
        """Wait for the next result. Raises StopIteration after the last, and the error that ended all."""
        if self._over or self._stop.requested:
            raise StopIteration
        if self._thread is None:
            # A daemon: a process that ends closes this first, by the finalizer of the results
            self._thread = Thread(target=self._work, name="runs", daemon=True)
            self._thread.start()
        found = self._results.get()
        if isinstance(found, RunResult):
            return found
        self._over = True
        if found.error is not None:
            raise found.error
        raise StopIteration

    def close(self) -> None:
        """Stop at the next step, and wait for that."""
        self._stop.request()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            with OutputDirectory(self._outputs.root, place=self._outputs.place) as folder:
                ledger = Ledger(folder.ledger)
                try:
                    report = _ResultReport(self, folder, ledger)
                    report.report(execute(self._command, folder, report, self._stop))
                finally:
                    ledger.close()
        except BaseException as exc:  # raised again where the results are read
            error = exc
        self._results.put(_Over(error))

    def put(self, folder: OutputDirectory, status: RunStatus) -> None:
        """Queue the result of a run that has ended."""
        made = status.state is State.SUCCEEDED
        self._results.put(
            RunResult(
                id=status.id,
                state=status.state.value,
                path=output_of(folder.published(status.id)) if made else None,
                cause="" if made else status.cause,
                seconds=status.seconds,
                scores=dict(status.scores) if made else {},
                flags=flags_of(status.scores) if made else (),
                acceptance=dict(status.acceptance),
                warnings=self._warnings.get(status.id, ()),
            )
        )


class _ResultReport:
    """Receives the events of dispatching, and queues a result for each run that ends."""

    def __init__(self, execution: _Execution, folder: OutputDirectory, ledger: Ledger) -> None:
        self._execution = execution
        self._folder = folder
        self._ledger = ledger
        self._reported: set[str] = set()

    def planned(self, plan: Plan) -> None:  # noqa: ARG002 - the protocol's name
        """Report the runs that had ended before, once."""
        if not self._reported:
            self.report(self._ledger.queries.statuses())

    def launched(self, reason: str, runs: int) -> None:
        """Do nothing."""

    def began(self, batch: int, run_ids: Sequence[str]) -> None:
        """Do nothing."""

    def stepped(self, run_id: str, step: int, steps: int) -> None:
        """Do nothing."""

    def changed(self, run_id: str, state: State, cause: str) -> None:
        """Report a run that has ended."""
        if state in ENDED:
            self.report([_status(self._ledger, run_id, state, cause)])

    def noted(self, message: str) -> None:
        """Do nothing."""

    def report(self, statuses: Iterable[RunStatus]) -> None:
        """Queue the results of those of the runs that have ended, each once."""
        for status in statuses:
            new = status.id in self._execution.ids and status.id not in self._reported
            if new and status.state in ENDED:
                self._reported.add(status.id)
                self._execution.put(self._folder, status)


def _status(ledger: Ledger, run_id: str, state: State, cause: str) -> RunStatus:
    """The status of a run that has ended just now."""
    found = ledger.queries.get_run(run_id)
    assert found is not None, run_id
    record, attempt = found.record, found.attempt
    seconds = None if attempt is None or attempt.ended is None else attempt.ended - attempt.started
    return RunStatus(
        id=run_id,
        fingerprint=record.fingerprint,
        state=state,
        cause=cause,
        priority=record.priority,
        seconds=seconds,
        step=attempt.step if attempt else 0,
        steps=attempt.steps if attempt else 0,
        scores=record.scores,
        acceptance=record.acceptance,
    )
