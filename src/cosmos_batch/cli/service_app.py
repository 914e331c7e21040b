"""Declarations of the service commands: `serve`, `worker`, `keys`, and the commands of a client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cosmos_batch.cli.completion import complete_engine, complete_model
from cosmos_batch.cli.options import (
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
from cosmos_batch.engines.registry import EngineChoice, Engines

Home = Annotated[Path, typer.Argument(metavar="HOME", help="The service's folder: queue, uploads and videos.")]
LedgerUrl = Annotated[
    str | None, typer.Option("--ledger", metavar="URL", help="A database URL; default: a file in HOME.")
]
Engine = Annotated[
    str | None,
    typer.Option("--engine", help="As for `cosmos-batch run`.", autocompletion=complete_engine),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Weights: folder, Hugging Face id, FILE.pt@CONTROL.",
        autocompletion=complete_model,
    ),
]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="NVIDIA's scripts: TOML.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Worker processes: one for each GPU.")]
FlushSeconds = Annotated[float, typer.Option(min=0, help="Seconds that runs wait before they are batched.")]
FlushRuns = Annotated[int, typer.Option(min=1, help="Number of waiting runs that are batched at once.")]
Predicted = Annotated[
    bool, typer.Option("--prediction/--no-prediction", help="Set waiting and loading by the runs to be expected.")
]
MaxBatch = Annotated[int | None, typer.Option(min=1, help="Maximum of runs in a batch.")]
MaxFailures = Annotated[int, typer.Option(min=1, help="Maximum of attempts at a run that a retry can help.")]
SaveEvery = Annotated[float, typer.Option(min=0, help="Seconds between checkpoints of a run.")]
Server = Annotated[
    str,
    typer.Option("--server", envvar="COSMOS_BATCH_SERVER", metavar="URL", help="The server's address."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key", envvar="COSMOS_BATCH_KEY", metavar="KEY", help="An API key, if the server requires one."
    ),
]
SomeIds = Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Runs; default: all.")]
ChosenIds = Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Runs; else --sweep, --tag.")]
LOCAL = "http://127.0.0.1:8000"

keys = typer.Typer(help="API keys of a service.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (serve, cost, budgets, submit, watch, cancel, retry, pause, resume, drain, logs, fetch):
        app.command()(command)
    app.command(hidden=True)(worker)
    app.add_typer(keys, name="keys")


def serve(
    context: typer.Context,
    home: Home,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any free port.")] = 8000,
    root: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="A folder whose videos requests may name.")
    ] = None,
    engine: Engine = None,
    model: Model = None,
    config: Config = None,
    workers: Workers = 1,
    on_start: Annotated[
        Literal["run", "pause", "keep"], typer.Option(help="State of the queue; keep: as it was.")
    ] = "keep",
    flush_seconds: FlushSeconds = 20.0,
    flush_runs: FlushRuns = 32,
    max_batch: MaxBatch = None,
    max_failures: MaxFailures = 3,
    save_every: SaveEvery = 20.0,
    score: Scorers = None,
    prediction: Predicted = True,
    max_upload: Annotated[int, typer.Option(min=1, metavar="MIB", help="Maximum size of an upload.")] = 2048,
    max_queue: Annotated[int, typer.Option(min=1, metavar="RUNS", help="Maximum of waiting runs.")] = 200_000,
    rate: Annotated[float, typer.Option(min=0.1, help="Maximum of requests per second and address.")] = 1000.0,
    proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="A proxy, or a network of proxies, whose X-Forwarded-For counts."),
    ] = None,
    ledger: LedgerUrl = None,
    offload: Offload = None,
    approximate: Approximate = None,
    split_guidance: SplitGuidance = False,
) -> None:
    """Serve the queue: HTTP API, web page and workers."""
    from cosmos_batch.cli.commands.serve import ServeRequest, WorkerOptions, serve_command
    from cosmos_batch.cli.service_location import ServiceLocation
    from cosmos_batch.dispatch.worker.supervisor import OnStart
    from cosmos_batch.scoring.scorers import chosen_scorers
    from cosmos_batch.service.settings import MIB, Limits, ServerSettings

    limits = Limits(
        upload_bytes=max_upload * MIB,
        queue_runs=max_queue,
        requests_per_second=rate,
        burst=max(1, round(2 * rate)),
    )
    options = WorkerOptions(
        workers=workers,
        flush_seconds=flush_seconds,
        flush_runs=flush_runs,
        max_batch=max_batch,
        max_failures=max_failures,
        save_every=save_every,
        scorers=chosen_scorers(score or ()),
        prediction=prediction,
    )
    roots = tuple(root or ())
    serving = ServerSettings(
        host=host,
        port=port,
        proxies=tuple(proxy or ()),
        roots=roots,
        limits=limits,
        flush_seconds=flush_seconds,
        flush_runs=flush_runs,
        prediction=prediction,
    )
    choice = EngineChoice(engine, model, config, options_of(offload, approximate, split_guidance))
    location = ServiceLocation(home=home, ledger=ledger)
    request = ServeRequest(location, choice, serving, options, OnStart(on_start))
    raise typer.Exit(serve_command(_engines(context), request))


def worker(
    context: typer.Context,
    home: Home,
    number: Annotated[int, typer.Option(min=0)],
    workers: Workers,
    flush_seconds: FlushSeconds,
    flush_runs: FlushRuns,
    max_failures: MaxFailures,
    save_every: SaveEvery,
    prediction: Predicted = True,
    max_batch: MaxBatch = None,
    engine: Engine = None,
    model: Model = None,
    config: Config = None,
    ledger: LedgerUrl = None,
    offload: Offload = None,
    approximate: Approximate = None,
    split_guidance: SplitGuidance = False,
    score: Scorers = None,
) -> None:
    """Run a worker of a service. `serve` starts workers."""
    from cosmos_batch.cli.commands.serve import WorkerOptions, worker_command
    from cosmos_batch.cli.service_location import ServiceLocation
    from cosmos_batch.scoring.scorers import chosen_scorers

    options = WorkerOptions(
        workers=workers,
        flush_seconds=flush_seconds,
        flush_runs=flush_runs,
        max_batch=max_batch,
        max_failures=max_failures,
        save_every=save_every,
        scorers=chosen_scorers(score or ()),
        prediction=prediction,
    )
    choice = EngineChoice(engine, model, config, options_of(offload, approximate, split_guidance))
    location = ServiceLocation(home=home, ledger=ledger)
    raise typer.Exit(worker_command(_engines(context), location, choice, options, number))


@keys.command("add")
def add_key(
    home: Home,
    name: Annotated[str, typer.Argument()],
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Who pays for the runs of this key.")] = "",
    ledger: LedgerUrl = None,
) -> None:
    """Create a key and print it. It cannot be printed again."""
    from cosmos_batch.cli import service_location
    from cosmos_batch.cli.commands import keys

    location = service_location.ServiceLocation(home=home, ledger=ledger)
    raise typer.Exit(keys.add_key_command(location, name, tenant))


@keys.command("list")
def list_keys(home: Home, ledger: LedgerUrl = None) -> None:
    """Print the names of all keys."""
    from cosmos_batch.cli import service_location
    from cosmos_batch.cli.commands import keys

    raise typer.Exit(keys.list_keys_command(service_location.ServiceLocation(home=home, ledger=ledger)))


@keys.command("revoke")
def revoke_key(home: Home, name: Annotated[str, typer.Argument()], ledger: LedgerUrl = None) -> None:
    """Revoke a key."""
    from cosmos_batch.cli import service_location
    from cosmos_batch.cli.commands import keys

    raise typer.Exit(keys.revoke_key_command(service_location.ServiceLocation(home=home, ledger=ledger), name))


def cost(
    home: Home,
    by: Annotated[Literal["tenant", "model", "day"], typer.Option(help="What to add up by.")] = "tenant",
    since: Annotated[str, typer.Option(metavar="DAY", help="The first day, UTC: 2026-11-30.")] = "",
    until: Annotated[str, typer.Option(metavar="DAY", help="The last day.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ledger: LedgerUrl = None,
) -> None:
    """Print the engine time of a service, by tenant, model or day."""
    from cosmos_batch.cli.commands.cost import CostRequest, cost_command
    from cosmos_batch.cli.service_location import ServiceLocation
    from cosmos_batch.ledger.service.usage import UsageBy

    location = ServiceLocation(home=home, ledger=ledger)
    raise typer.Exit(cost_command(CostRequest(location, UsageBy(by), since, until, as_json)))


def budgets(
    home: Home,
    tenant: Annotated[str, typer.Argument(help="Whose budget is set; default: list all.")] = "",
    seconds: Annotated[float | None, typer.Option(min=0, help="Engine seconds in each period.")] = None,
    period: Annotated[Literal["day", "month"], typer.Option(help="After which it begins anew, UTC.")] = "month",
    remove: Annotated[bool, typer.Option("--remove", help="Let the tenant use any time.")] = False,
    ledger: LedgerUrl = None,
) -> None:
    """List the budgets of a service's tenants, or set one."""
    from cosmos_batch.cli.commands.budgets import BudgetRequest, budgets_command
    from cosmos_batch.cli.service_location import ServiceLocation

    location = ServiceLocation(home=home, ledger=ledger)
    raise typer.Exit(budgets_command(BudgetRequest(location, tenant, seconds, period, remove)))


def submit(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Sweeps, or runs of any known format.")],
    server: Server = LOCAL,
    key: Key = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Do not upload videos: the server reads them at the same paths.")
    ] = False,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Report invalid runs, and submit the others.")
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Submit runs to a server, and upload their videos."""
    from cosmos_batch.cli.commands.remote import submit_command
    from cosmos_batch.client.client import Client

    with Client(server, key) as client:
        raise typer.Exit(
            submit_command(client, files, in_place=in_place, skip_invalid=skip_invalid, overrides=overrides or ())
        )


def watch(ids: SomeIds = None, server: Server = LOCAL, key: Key = None) -> None:
    """Print the events of a server; with ids until those runs have ended."""
    from cosmos_batch.cli.commands.remote import watch_command
    from cosmos_batch.client.client import Client

    with Client(server, key) as client:
        raise typer.Exit(watch_command(client, ids or []))


def cancel(
    ids: ChosenIds = None, sweep: Sweep = "", tag: Tag = None, server: Server = LOCAL, key: Key = None
) -> None:
    """Cancel runs on a server; a running one ends at its next step."""
    _each(ids or [], sweep, tag or [], "cancel", server, key)


def retry(
    ids: ChosenIds = None, sweep: Sweep = "", tag: Tag = None, server: Server = LOCAL, key: Key = None
) -> None:
    """Requeue runs that failed, were blocked or were cancelled."""
    _each(ids or [], sweep, tag or [], "retry", server, key)


def _each(
    ids: list[str], sweep: str, tags: list[str], verb: Literal["cancel", "retry"], server: str, key: str | None
) -> None:
    from cosmos_batch.cli.commands.remote import each_command
    from cosmos_batch.client.client import Client
    from cosmos_batch.client.selection import RunSelection

    if bool(ids) == bool(sweep or tags):
        raise typer.BadParameter("name runs by their ids, or by --sweep and --tag")
    with Client(server, key) as client:
        raise typer.Exit(each_command(client, RunSelection(ids, sweep, tags), verb))


def pause(server: Server = LOCAL, key: Key = None) -> None:
    """Checkpoint the running runs at their next step, and free the GPU."""
    _set_mode("pause", server, key)


def resume(server: Server = LOCAL, key: Key = None) -> None:
    """Resume the queue after pause or drain."""
    _set_mode("resume", server, key)


def drain(server: Server = LOCAL, key: Key = None) -> None:
    """Finish the running runs, start no others, then free the GPU."""
    _set_mode("drain", server, key)


def _set_mode(verb: str, server: str, key: str | None) -> None:
    from cosmos_batch.cli.commands.remote import mode_command
    from cosmos_batch.client.client import Client

    with Client(server, key) as client:
        raise typer.Exit(mode_command(client, verb))


def logs(run_id: Annotated[str, typer.Argument(metavar="ID")], server: Server = LOCAL, key: Key = None) -> None:
    """Print the history of a run: every change of its state, every attempt."""
    from cosmos_batch.cli.commands.remote import logs_command
    from cosmos_batch.client.client import Client

    with Client(server, key) as client:
        raise typer.Exit(logs_command(client, run_id))


def fetch(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for DIR/ID/, or DIR/{sweep}/{video}.mp4."),
    ],
    ids: SomeIds = None,
    sweep: Sweep = "",
    tag: Tag = None,
    manifest: Manifest = None,
    server: Server = LOCAL,
    key: Key = None,
) -> None:
    """Download videos from a server, with their controls and run.json."""
    from cosmos_batch.cli.commands.remote import fetch_command
    from cosmos_batch.client.client import Client
    from cosmos_batch.client.selection import RunSelection

    if ids and (sweep or tag):
        raise typer.BadParameter("name runs by their ids, or by --sweep and --tag")
    with Client(server, key) as client:
        raise typer.Exit(fetch_command(client, RunSelection(ids or [], sweep, tag or []), output, manifest))


def _engines(context: typer.Context) -> Engines:
    engines: Engines = context.obj
    return engines
