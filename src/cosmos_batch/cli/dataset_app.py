"""Declarations of the commands that read and write datasets of other projects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosmos_batch.cli.completion import completing
from cosmos_batch.controls import CONTROLS

Camera = Annotated[
    str, typer.Option("--camera", metavar="NAME", help="A camera of it, such as observation.images.top.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (import_lerobot, export_lerobot, export_webdataset, export_hdf5):
        app.command()(command)


def import_lerobot(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of a LeRobot dataset, v2.1 or v3.")],
    camera: Camera,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file of runs: JSONL.")],
    prompt: Annotated[
        list[str] | None,
        typer.Option("--prompt", metavar="TEXT", help="May be repeated; {task}: the episode's task."),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", metavar="FILE", help="A prompt a line, or a JSON object of them by name."),
    ] = None,
    seed: Annotated[list[int] | None, typer.Option("--seed", min=0, help="May be repeated.")] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            "--weight",
            metavar="CONTROL=WEIGHT",
            help="May be repeated; default: edge=1.",
            autocompletion=completing(f"{name}=" for name in CONTROLS),
        ),
    ] = None,
    episodes: Annotated[
        str | None, typer.Option("--episodes", metavar="RANGES", help="Such as 0:10,15; default: all.")
    ] = None,
) -> None:
    """Write a file of runs: one for each episode, prompt and seed."""
    from cosmos_batch.cli.commands.lerobot import ImportRequest, import_command

    request = ImportRequest(
        dataset=dataset,
        camera=camera,
        target=output,
        prompts=prompt or (),
        prompt_file=prompts,
        seeds=seed or (),
        weights=weight or (),
        episodes=episodes,
    )
    raise typer.Exit(import_command(request))


def export_lerobot(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="The output folder of the runs.")],
    dataset: Annotated[Path, typer.Option("--dataset", metavar="DATASET", help="The dataset of their inputs.")],
    camera: Camera,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW", help="The folder to make.")],
    variation: Annotated[
        list[str] | None,
        typer.Option("--variation", metavar="NAME", help="Only this variation; may be repeated."),
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Leave out episodes that have no finished run.")
    ] = False,
) -> None:
    """Write the dataset with finished videos in place of the camera's, a copy for each variation."""
    from cosmos_batch.cli.commands.lerobot import export_command

    raise typer.Exit(export_command(folder, dataset, camera, output, variation or (), skip_missing=skip_missing))


Ids = Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="Only this run; may be repeated.")]
AcceptedOnly = Annotated[
    bool, typer.Option("--accepted-only", help="Leave out videos that do not reach the scores that they had to.")
]
MadeRuns = Annotated[Path, typer.Argument(metavar="OUT", help="The output folder of the runs.")]


def export_webdataset(
    folder: MadeRuns,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW", help="The folder to make.")],
    samples: Annotated[int, typer.Option("--samples", min=1, help="Samples of a shard.")] = 1000,
    ids: Ids = None,
    accepted_only: AcceptedOnly = False,
) -> None:
    """Write finished runs as WebDataset shards: tar files of output, controls, prompt and record."""
    from cosmos_batch.cli.commands.exports import webdataset_command

    raise typer.Exit(webdataset_command(folder, output, samples, ids or (), accepted_only=accepted_only))


def export_hdf5(
    folder: MadeRuns,
    dataset: Annotated[Path, typer.Option("--dataset", metavar="FILE", help="The demonstrations: HDF5.")],
    camera: Annotated[str, typer.Option("--camera", metavar="NAME", help="A camera of obs, such as table_cam.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to make.")],
    ids: Ids = None,
    accepted_only: AcceptedOnly = False,
) -> None:
    """Write demonstrations of Isaac Lab with one more for each finished run whose id names one, as demo_3."""
    from cosmos_batch.cli.commands.exports import hdf5_command

    raise typer.Exit(hdf5_command(folder, dataset, camera, output, ids or (), accepted_only=accepted_only))
