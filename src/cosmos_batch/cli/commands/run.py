"""`cosmos-batch run`: read the files, load the engine, execute the runs, and print a summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.cli.commands.plan import usable
from cosmos_batch.cli.render.console import console, print_error
from cosmos_batch.cli.render.progress import LiveProgress, PlainProgress
from cosmos_batch.cli.render.progress_state import ProgressState
from cosmos_batch.cli.render.tables import SHOWN_RUNS, print_statuses
from cosmos_batch.cli.render.text import duration
from cosmos_batch.cli.signals import stop_on_signals
from cosmos_batch.dispatch.command import Command, execute
from cosmos_batch.dispatch.output.destination import Destination
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.output.manifest_table import ManifestEntry, check_table, write_table
from cosmos_batch.dispatch.output.shard import Shard
from cosmos_batch.dispatch.resume import obstacles_in
from cosmos_batch.dispatch.settings import DispatchSettings, StopToken
from cosmos_batch.engines.base import EngineSource
from cosmos_batch.engines.registry import EngineChoice, Engines
from cosmos_batch.errors import EngineError, LedgerError, MediaError, StorageError
from cosmos_batch.ledger import RunStatus, State
from cosmos_batch.requests import Requests, gather
from cosmos_batch.run import Run


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Arguments of `cosmos-batch run`."""

    files: Sequence[Path]
    output: Path
    choice: EngineChoice
    settings: DispatchSettings
    skip_invalid: bool
    strict: bool
    plain: bool
    all_rows: bool  # list every run at the end
    overrides: Sequence[str] = ()  # settings in place of those of every run: "num_steps=4"
    manifest: Path | None = None  # a table of the runs, CSV or Parquet
    shard: Shard | None = None  # the part of the runs that is made; None: all


def run_command(engines: Engines, request: RunRequest) -> int:
    """Make the missing videos; returns the exit code. Raises CosmosBatchError if no run can be started."""
    if request.manifest is not None:
        check_table(request.manifest)
    preview = engines.preview(request.choice, executes=True)
    requests = gather(
        request.files,
        preview.traits,
        preview.problems,
        strict=request.strict,
        overrides=request.overrides,
        shard=request.shard,
    )
    if request.shard and not (requests.runs or requests.problems):
        print(f"shard {request.shard.number}/{request.shard.count} has no run to make")
        return 0
    destination = Destination.of(request.output, lambda: requests.resolved(preview.traits))
    requests = requests.named(destination.outputs)
    try:
        with OutputDirectory(destination.root, place=destination.place, shard=request.shard) as folder:
            requests = requests.without(obstacles_in(folder, requests.runs))
            if not usable(requests, request.skip_invalid):
                return 2
            destination.fetch(folder, [run.id for run in requests.runs])
            controls = {name for run in requests.runs for name in run.signature}
            source = engines.source(request.choice, controls)
            return _dispatch(requests, source, folder, destination, request)
    except StorageError as exc:
        print_error(str(exc))
        return 2


def _dispatch(
    requests: Requests,
    source: EngineSource,
    folder: OutputDirectory,
    destination: Destination,
    request: RunRequest,
) -> int:
    stop, started = StopToken(), time.monotonic()
    progress_state = ProgressState(time.monotonic, len(requests.runs))
    runs = requests.resolved(source.traits)
    before = _manifest(folder)
    command = Command(runs, source, requests.facts, request.settings)
    try:
        with _progress(progress_state, request.plain) as progress, stop_on_signals(stop, progress.noted):
            statuses = execute(command, folder, progress, stop)
        draws = _manifest(folder) != before or not (folder.root / "contact_sheet.png").exists()
        if draws and request.shard is None:
            _draw(folder, runs, statuses)
        destination.finish(folder)
    except (StorageError, LedgerError, EngineError) as exc:
        print_error(str(exc))
        print_error(
            "finished videos and checkpoints are kept; the same command continues once the cause is removed"
        )
        return 1
    if request.manifest is not None:
        entries = [_entry(run, status, folder) for run, status in zip(runs, statuses, strict=True)]
        write_table(request.manifest, entries)
    few = len(statuses) <= SHOWN_RUNS
    print_statuses(console(), statuses, all_rows=request.all_rows, with_successes=few)
    print(f"{duration(time.monotonic() - started)}; videos and {folder.manifest} are in {destination}")
    return _exit_code(statuses, stop)


def _entry(run: Run, status: RunStatus, folder: OutputDirectory) -> ManifestEntry:
    done = status.state is State.SUCCEEDED
    return ManifestEntry(
        run, status.state, "" if done else status.cause, folder.published(run.id) if done else None
    )


def _progress(state: ProgressState, plain: bool) -> LiveProgress | PlainProgress:
    if plain or not sys.stdout.isatty():
        return PlainProgress(sys.stdout, state, time.monotonic)
    return LiveProgress(console(), state)


def _manifest(folder: OutputDirectory) -> str:
    """The manifest of the last command: where it stays the same, nothing was made, and the contact sheet fits."""
    file = folder.root / folder.manifest
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _draw(folder: OutputDirectory, runs: Sequence[Run], statuses: Sequence[RunStatus]) -> None:
    """Draw the contact sheet. An error in it does not fail the command."""
    from cosmos_batch.cli.render.contact_sheet import write_contact_sheets

    try:
        write_contact_sheets(folder.root, runs, statuses)
    except MediaError as exc:
        print_error(f"no contact sheet: {exc}")


def _exit_code(statuses: Sequence[RunStatus], stop: StopToken) -> int:
    states = {status.state for status in statuses}
    waits = not states <= {State.SUCCEEDED, State.FAILED, State.BLOCKED}
    if stop.for_failures and waits:
        print_error(f"stopped: {stop.reason}")
        print_error(
            "the other runs wait; the same command continues once the cause is removed, or with --max-alike 0"
        )
        return 1
    if stop.requested and waits:
        print("stopped; the same command continues from here")
        return 130
    return 0 if states <= {State.SUCCEEDED} else 1
