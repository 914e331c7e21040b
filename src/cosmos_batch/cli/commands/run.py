"""`cosmos-batch run`: read, load, dispatch, and say how it went."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.cli.commands.plan import usable
from cosmos_batch.cli.load_runs import Requests, gather
from cosmos_batch.cli.render.console import complain, console
from cosmos_batch.cli.render.progress import LiveProgress, PlainProgress
from cosmos_batch.cli.render.progress_state import ProgressState
from cosmos_batch.cli.render.tables import print_standings
from cosmos_batch.cli.render.text import duration
from cosmos_batch.cli.signals import stopping
from cosmos_batch.dispatch.command import Command, execute
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.resume import obstacles
from cosmos_batch.dispatch.settings import DispatchSettings, StopToken
from cosmos_batch.engines.registry import EngineChoice, Engines, Loaded
from cosmos_batch.errors import EngineError, LedgerError, MediaError, StorageError
from cosmos_batch.ledger import RunStatus, State

SMALL = 20  # runs up to which the summary names those that succeeded, too


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the command line asks for."""

    files: Sequence[Path]
    output: Path
    choice: EngineChoice
    settings: DispatchSettings
    skip_invalid: bool
    plain: bool


def run_command(engines: Engines, order: RunRequest) -> int:
    """Make what is missing; returns the exit code. Raises CosmosBatchError where nothing can go on."""
    requests = gather(order.files, engines.preview(order.choice).traits)
    try:
        folder = OutputDirectory(order.output)
    except StorageError as exc:
        complain(str(exc))
        return 2
    with folder:
        requests = _publishable(requests, folder)
        if not usable(requests, order.skip_invalid):
            return 2
        controls = {name for run in requests.runs for name in run.signature}
        loaded = engines.load(order.choice, controls)
        return _dispatch(requests, loaded, folder, order)


def _publishable(requests: Requests, folder: OutputDirectory) -> Requests:
    """The requests, without those whose name is taken in the folder."""
    blocked = obstacles(requests.runs, folder)
    taken = {problem.found for problem in blocked}
    runs = tuple(run for run in requests.runs if run.id not in taken)
    return Requests(runs, requests.facts, (*requests.problems, *blocked))


def _dispatch(requests: Requests, loaded: Loaded, folder: OutputDirectory, order: RunRequest) -> int:
    stop, started = StopToken(), time.monotonic()
    tally = ProgressState(time.monotonic, len(requests.runs))
    runs = requests.resolved(loaded.engine.traits)
    command = Command(runs, loaded.engine, loaded.prior, requests.facts, order.settings)
    try:
        with _progress(tally, order.plain) as progress, stopping(stop, progress.noted):
            standings = execute(command, folder, progress, stop)
    except (StorageError, LedgerError, EngineError) as exc:
        complain(str(exc))
        complain("what was finished or saved is kept; once this is mended, the same command goes on from there")
        return 1
    _draw(folder, requests, standings)
    print_standings(console(), standings, everything=len(standings) <= SMALL)
    print(f"{duration(time.monotonic() - started)}; videos and manifest.jsonl are in {order.output}")
    return _exit_code(standings, stop)


def _progress(tally: ProgressState, plain: bool) -> LiveProgress | PlainProgress:
    if plain or not sys.stdout.isatty():
        return PlainProgress(sys.stdout, tally, time.monotonic)
    return LiveProgress(console(), tally)


def _draw(folder: OutputDirectory, requests: Requests, standings: Sequence[RunStatus]) -> None:
    """The contact sheet. A command whose videos are made has not failed for want of it."""
    from cosmos_batch.cli.render.contact_sheet import write_contact_sheets

    try:
        write_contact_sheets(folder.root, requests.runs, standings)
    except MediaError as exc:
        complain(f"no contact sheet: {exc}")


def _exit_code(standings: Sequence[RunStatus], stop: StopToken) -> int:
    states = {standing.state for standing in standings}
    if stop.requested and not states <= {State.SUCCEEDED, State.FAILED, State.BLOCKED}:
        print("stopped; the same command goes on from here")
        return 130
    return 0 if states <= {State.SUCCEEDED} else 1
