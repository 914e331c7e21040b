"""The commands of the command line beside the making of videos: prompts by a model, a look at the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosmos_batch.cli.completion import complete_engine, complete_model
from cosmos_batch.engines.registry import EngineChoice, Engines


def register(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.command()(prompts)
    app.command()(doctor)


def prompts(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Clips and instructions, or runs.")],
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="URL", help="An OpenAI-compatible server, up to /v1.")
    ],
    model_name: Annotated[
        str | None, typer.Option("--model-name", metavar="M", help="One of its models; default: its only one.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The prompts, a line for each.")
    ] = Path("prompts.jsonl"),
    key: Annotated[
        str | None, typer.Option("--key", envvar="COSMOS_BATCH_PROMPTS_KEY", help="API key of the server.")
    ] = None,
    instruction: Annotated[
        list[str] | None, typer.Option("--instruction", metavar="NAME=TEXT", help="A variation; may be repeated.")
    ] = None,
    json_captions: Annotated[
        bool, typer.Option("--json-captions", help="Captions as Cosmos 3 takes them.")
    ] = False,
    frames: Annotated[int | None, typer.Option(min=1, max=64, help="Pictures of each clip; default: 8.")] = None,
    parallel: Annotated[int, typer.Option(min=1, max=256, help="Requests at a time.")] = 4,
    replace: Annotated[bool, typer.Option("--replace", help="Write FILE anew, without what is in it.")] = False,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Report unusable clips, and use the others.")
    ] = False,
) -> None:
    """Let a model describe clips and vary the descriptions, into a file of prompts for review."""
    from cosmos_batch.cli.commands.prompts import PromptOptions, prompts_command

    options = PromptOptions(
        endpoint=endpoint,
        model=model_name,
        key=key,
        output=output,
        instructions=instruction or (),
        json_captions=json_captions,
        frames=frames,
        parallel=parallel,
        replace=replace,
        skip_invalid=skip_invalid,
    )
    raise typer.Exit(prompts_command(files, options))


def doctor(
    context: typer.Context,
    engine: Annotated[
        str | None, typer.Option("--engine", help="As for run.", autocompletion=complete_engine)
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Weights, as for run.", autocompletion=complete_model)
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="As for run.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="An output folder to look at.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the lines as JSON.")] = False,
) -> None:
    """Show what of this machine works, and what to do about the rest."""
    from cosmos_batch.cli.commands.doctor import doctor_command

    engines: Engines = context.obj
    raise typer.Exit(doctor_command(engines, EngineChoice(engine, model, config), output, as_json=as_json))
