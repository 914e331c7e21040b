"""The command line: its commands, their options, and the messages and exit codes of errors."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENAMETOOLONG
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from cosmos_batch.cli import dataset_app, support_app
from cosmos_batch.cli.completion import complete_engine, complete_model
from cosmos_batch.cli.options import (
    SCRIPT_ENGINES,
    Approximate,
    Manifest,
    Offload,
    Overrides,
    Scorers,
    SplitGuidance,
    Sweep,
    Tag,
    options_of,
)
from cosmos_batch.cli.render.streams import keep_streams_open
from cosmos_batch.cli.render.text import safe
from cosmos_batch.cli.service_app import Key, register
from cosmos_batch.engines.registry import ENGINES, BuiltInEngines, EngineChoice, Engines
from cosmos_batch.errors import CosmosBatchError, InputError, MissingExtraError, ModelError, PlanError

OK, FAILED, USAGE, STOPPED = 0, 1, 2, 130

app = typer.Typer(
    help="Controlled videos out of NVIDIA Cosmos Transfer, in bulk: planned, batched, checked.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Files = Annotated[list[Path], typer.Argument(metavar="FILES...", help="Sweeps, or runs of any known format.")]
Folder = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="DIR", help="The output folder, or DIR/{sweep}/{video}_s{seed}.mp4."),
]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help=f"One of {', '.join(ENGINES)}; default: {EngineChoice().name}, with --model "
        f"{EngineChoice(model='-').name}.",
        autocompletion=complete_engine,
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Folder and launcher of NVIDIA's scripts: TOML."),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Weights: folder, Hugging Face id, FILE.pt@CONTROL.",
        autocompletion=complete_model,
    ),
]
Emit = Annotated[
    tuple[str, Path] | None,
    typer.Option(
        "--emit", metavar="ENGINE DIR", help=f"Write the files of NVIDIA's script: {', '.join(SCRIPT_ENGINES)}."
    ),
]
SkipInvalid = Annotated[bool, typer.Option("--skip-invalid", help="Report invalid runs, and use the others.")]

Strict = Annotated[bool, typer.Option("--strict", help="Count a warning as a problem.")]

AllRows = Annotated[bool, typer.Option("--all", help="List every run, however many there are.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cosmos-batch {version('cosmos-batch')}")
        raise typer.Exit(OK)


@app.callback()
def _common(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Controlled videos out of NVIDIA Cosmos Transfer, in bulk: planned, batched, checked."""


@app.command()
def expand(
    context: typer.Context,
    files: Files,
    engine: EngineName = None,
    model: ModelName = None,
    overrides: Overrides = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the runs to FILE, as JSONL.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print number, price and first runs as JSON.")] = False,
    skip_invalid: SkipInvalid = False,
) -> None:
    """Show the number of runs of a sweep, the first ten, and the predicted time."""
    from cosmos_batch.cli.commands.expand import ExpandOutput, expand_command

    wanted = ExpandOutput(
        write_to=output, as_json=as_json, skip_invalid=skip_invalid, overrides=tuple(overrides or ())
    )
    raise typer.Exit(expand_command(_engines(context), files, EngineChoice(engine, model), wanted))


@app.command()
def plan(
    context: typer.Context,
    files: Files,
    engine: EngineName = None,
    model: ModelName = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Use the measurements in DIR."),
    ] = None,
    emit: Emit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole plan as JSON.")] = False,
    skip_invalid: SkipInvalid = False,
    strict: Strict = False,
    overrides: Overrides = None,
    offload: Offload = None,
    approximate: Approximate = None,
    split_guidance: SplitGuidance = False,
) -> None:
    """Show launches, batches, time, memory and savings. Writes no files but those of --emit."""
    from cosmos_batch.cli.commands.plan import PlanOutput, plan_command

    script, folder = emit or (None, None)
    if script and engine not in (None, script):
        raise typer.BadParameter(f"--engine {engine} and --emit {script}: the files are for one engine")
    choice = EngineChoice(script or engine, model, options=options_of(offload, approximate, split_guidance))
    wanted = PlanOutput(
        measured_in=output,
        emit_to=folder,
        as_json=as_json,
        skip_invalid=skip_invalid,
        strict=strict,
        overrides=overrides or (),
    )
    raise typer.Exit(plan_command(_engines(context), files, choice, wanted))


@app.command()
def run(
    context: typer.Context,
    files: Files,
    output: Folder,
    engine: EngineName = None,
    model: ModelName = None,
    config: ConfigFile = None,
    skip_invalid: SkipInvalid = False,
    strict: Strict = False,
    overrides: Overrides = None,
    manifest: Manifest = None,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines instead of a live display.")] = False,
    all_rows: AllRows = False,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Make the I-th of N equal parts of the runs, for N commands.")
    ] = "",
    max_batch: Annotated[int | None, typer.Option(min=1, help="Maximum of runs in a batch.")] = None,
    max_failures: Annotated[
        int, typer.Option(min=1, help="Maximum of attempts at a run that a retry can help.")
    ] = 3,
    max_alike: Annotated[
        int, typer.Option(min=0, help="Stop when so many first runs fail for one cause; 0: go on.")
    ] = 5,
    save_every: Annotated[float, typer.Option(min=0, help="Seconds between checkpoints of a run.")] = 20.0,
    score: Scorers = None,
    offload: Offload = None,
    approximate: Approximate = None,
    split_guidance: SplitGuidance = False,
) -> None:
    """Make the videos that are missing in DIR. The same command given again continues."""
    from cosmos_batch.cli.commands.run import RunRequest, run_command
    from cosmos_batch.dispatch.output.shard import Shard
    from cosmos_batch.dispatch.settings import DispatchSettings
    from cosmos_batch.scoring.scorers import chosen_scorers

    settings = DispatchSettings(
        save_every=save_every,
        max_failures=max_failures,
        max_batch=max_batch,
        max_alike=max_alike or None,
        scorers=chosen_scorers(score or ()),
    )
    choice = EngineChoice(engine, model, config, options_of(offload, approximate, split_guidance))
    request = RunRequest(
        files,
        output,
        choice,
        settings,
        skip_invalid=skip_invalid,
        strict=strict,
        plain=plain,
        all_rows=all_rows,
        overrides=overrides or (),
        manifest=manifest,
        shard=Shard.parse(shard) if shard else None,
    )
    with unexpected_errors(output):
        code = run_command(_engines(context), request)
    raise typer.Exit(code)


@app.command()
def status(
    folder: Annotated[list[str] | None, typer.Argument(metavar="[DIR | ID...]")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="DIR", help="The same as DIR.")] = None,
    server: Annotated[
        str | None,
        typer.Option("--server", envvar="COSMOS_BATCH_SERVER", metavar="URL", help="A server instead of DIR."),
    ] = None,
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every run as JSON.")] = False,
    all_rows: AllRows = False,
    sweep: Sweep = "",
    tag: Tag = None,
) -> None:
    """Show the state of every run of an output folder, or with --server of a server."""
    names = folder or []
    if server is not None and output is None:
        from cosmos_batch.cli.commands import remote
        from cosmos_batch.client.client import Client
        from cosmos_batch.client.selection import RunSelection

        if names and (sweep or tag):
            raise typer.BadParameter("name runs by their ids, or by --sweep and --tag")
        chosen = RunSelection(names, sweep, tag or ())
        with Client(server, key) as client:
            raise typer.Exit(remote.status_command(client, chosen, as_json=as_json, all_rows=all_rows))
    from cosmos_batch.cli.commands.status import status_command, status_filter

    if len(names) + (output is not None) != 1:
        raise typer.BadParameter("name the output folder: cosmos-batch status DIR; or a server: --server URL")
    where = status_filter(sweep, tag or ())
    raise typer.Exit(status_command(output or Path(names[0]), where, as_json=as_json, all_rows=all_rows))


@app.command()
def check(
    context: typer.Context,
    files: Files,
    engine: EngineName = None,
    model: ModelName = None,
    strict: Strict = False,
    overrides: Overrides = None,
) -> None:
    """Report all problems and warnings of the files and videos, and of making their runs here, as run would."""
    from cosmos_batch.cli.commands.plan import check_command

    choice = EngineChoice(engine, model)
    raise typer.Exit(check_command(_engines(context), files, choice, strict=strict, overrides=overrides or ()))


@app.command()
def calibrate(
    context: typer.Context,
    engine: EngineName = None,
    model: ModelName = None,
    seconds: Annotated[float, typer.Option(min=1, help="Approximate time for measuring.")] = 150.0,
    offload: Offload = None,
    approximate: Approximate = None,
    split_guidance: SplitGuidance = False,
) -> None:
    """Measure time and memory of a model on this machine; plan and run use the measurements."""
    from cosmos_batch.cli.commands.calibrate import calibrate_command

    choice = EngineChoice(engine, model, options=options_of(offload, approximate, split_guidance))
    raise typer.Exit(calibrate_command(_engines(context), choice, seconds))


@app.command()
def warm(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILES]...", help="Files of runs whose prompts are read, too.")
    ] = None,
    engine: EngineName = None,
    model: ModelName = None,
    skip_invalid: SkipInvalid = False,
    offload: Offload = None,
    approximate: Approximate = None,
    split_guidance: SplitGuidance = False,
) -> None:
    """Compile a model's kernels, and read prompts, for the processes that follow on this machine."""
    from cosmos_batch.cli.commands.warm import warm_command

    choice = EngineChoice(engine, model, options=options_of(offload, approximate, split_guidance))
    raise typer.Exit(warm_command(_engines(context), choice, files or [], skip_invalid=skip_invalid))


@app.command()
def simulate(
    context: typer.Context,
    gpus: Annotated[int, typer.Option("--gpus", min=1, max=1_000_000, help="Devices, each with a worker.")],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[TRACE.jsonl | PARAMS.toml]", help="Runs with arrivals, or how to make them."),
    ] = None,
    engine: EngineName = None,
    model: ModelName = None,
    policy: Annotated[
        list[str] | None, typer.Option("--policy", help="A policy to simulate; may be repeated. Default: all.")
    ] = None,
    from_ledger: Annotated[
        Path | None,
        typer.Option("--from-ledger", metavar="HOME", help="Use the history of a service as the trace."),
    ] = None,
    ledger: Annotated[
        str | None, typer.Option("--ledger", metavar="URL", help="Database of that service, if it has one.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of failures and of the deviation of times.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write simulation.json and timeline.svg.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Simulate a queue on a fleet with the scheduler of serve, and compare policies."""
    from cosmos_batch.cli.commands.simulate import SimulationRequest, simulate_command

    if (source is None) == (from_ledger is None):
        raise typer.BadParameter("name a trace or parameters, or a service's folder with --from-ledger")
    request = SimulationRequest(
        source=source,
        home=from_ledger,
        ledger=ledger,
        gpus=gpus,
        policies=tuple(policy or ()),
        seed=seed,
        output=output,
        as_json=as_json,
    )
    raise typer.Exit(simulate_command(_engines(context), EngineChoice(engine, model), request))


register(app)
dataset_app.register(app)
support_app.register(app)


def _engines(context: typer.Context) -> Engines:
    engines: Engines = context.obj
    return engines


_NAME_SHOWN = 200  # characters of a name that is too long


@contextmanager
def unexpected_errors(folder: Path | None) -> Iterator[None]:
    """Turn an unexpected error into one line that names the file of its traceback."""
    try:
        yield
    except (CosmosBatchError, typer.Exit):
        raise
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno == ENAMETOOLONG:  # whichever argument it came in by
            name = safe(str(exc.filename), _NAME_SHOWN)
            raise CosmosBatchError(f"{name}: is longer than the name of a file can be; correct it") from exc
        file = _write_traceback(exc, folder)
        line = f"this should not have happened: {type(exc).__name__}: {exc}; the details are in {file}"
        raise CosmosBatchError(line) from exc


def _write_traceback(exc: Exception, folder: Path | None) -> Path:
    """Write the traceback into the output folder if possible, else among the temporary files; returns the file."""
    home = folder / ".cosmos-batch" if folder else None
    for parent in (home, None):
        with suppress(OSError):
            handle, name = tempfile.mkstemp(".txt", "error-", parent)
            with open(handle, "w", encoding="utf-8", errors="replace") as stream:
                traceback.print_exception(exc, file=stream)
            return Path(name)
    return Path("/dev/null")


def main(engines: Engines | None = None) -> None:
    """Run the `cosmos-batch` command and exit with its code; users see no traceback."""
    keep_streams_open()
    try:
        with unexpected_errors(None):
            app(obj=engines or BuiltInEngines())
    except InputError as exc:
        for problem in exc.problems:
            typer.echo(safe(str(problem)), err=True)
        sys.exit(USAGE)
    except CosmosBatchError as exc:
        typer.echo(f"cosmos-batch: {safe(str(exc))}", err=True)
        sys.exit(USAGE if isinstance(exc, (PlanError, ModelError, MissingExtraError)) else FAILED)
    except KeyboardInterrupt:
        sys.exit(STOPPED)
