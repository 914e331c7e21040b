"""`cosmos-batch import-lerobot` and `cosmos-batch export-lerobot`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.cli.render.text import plural, safe
from cosmos_batch.controls import CONTROLS
from cosmos_batch.errors import InputError, MissingExtraError, Problem, StorageError
from cosmos_batch.media.atomic import describe_folder_error, replacing


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """Which runs to write."""

    dataset: Path
    camera: str
    target: Path  # the JSONL file
    prompts: Sequence[str]
    prompt_file: Path | None
    seeds: Sequence[int]
    weights: Sequence[str]  # each CONTROL=NUMBER
    episodes: str | None  # ranges; None: all


def import_command(request: ImportRequest) -> int:
    """Write a file of runs, one for each episode, prompt and seed; returns the exit code."""
    _require_pyarrow()
    from cosmos_batch.datasets.lerobot.episode_inputs import episode_inputs
    from cosmos_batch.datasets.lerobot.records import (
        RunChoice,
        check_tasks,
        named_prompts,
        records,
    )
    from cosmos_batch.formats.lerobot.layout import chosen_episodes, read_dataset

    dataset = read_dataset(request.dataset, request.camera)
    prompts = named_prompts(request.prompts, request.prompt_file)
    choice = RunChoice(prompts, list(dict.fromkeys(request.seeds)), _weights(request.weights))
    episodes = chosen_episodes(dataset, request.episodes)
    check_tasks(dataset, episodes, choice)
    inputs = episode_inputs(dataset, episodes)
    try:
        request.target.parent.mkdir(parents=True, exist_ok=True)
        lines = list(records(dataset, episodes, inputs, choice))
        with replacing(request.target) as part:
            part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"the folder {request.target.parent} {describe_folder_error(error)}") from error
    print(f"{safe(str(request.target))}: {plural(len(lines), 'run')} of {plural(len(episodes), 'episode')}")
    return 0


def export_command(
    out: Path, dataset: Path, camera: str, target: Path, variations: Sequence[str], *, skip_missing: bool
) -> int:
    """Write the dataset with the camera replaced, once for each variation; returns the exit code."""
    _require_pyarrow()
    from cosmos_batch.datasets.lerobot.export import check_target, export
    from cosmos_batch.datasets.lerobot.made_runs import find_variations
    from cosmos_batch.formats.lerobot.layout import read_dataset

    source = read_dataset(dataset, camera)
    check_target(source, target)
    found = find_variations(source, out, variations, skip_missing=skip_missing)
    for variation, folder in zip(found, export(source, found, target), strict=True):
        kept, all_ = len(variation.made), len(source.episodes)
        left_out = f", {all_ - kept} left out" if kept < all_ else ""
        print(f"{safe(str(folder))}: {variation.name}: {plural(kept, 'episode')}{left_out}")
    return 0


def _require_pyarrow() -> None:
    """Raise MissingExtraError unless Parquet files can be read."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("a LeRobot dataset", "datasets") from error


def _weights(texts: Sequence[str]) -> dict[str, float]:
    """Weights by control, of texts such as `edge=0.5`. Raises InputError."""
    found, problems = {}, []
    for text in texts:
        name, _, number = text.partition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = -1.0
        if name not in CONTROLS or not 0 < weight <= 1:
            remedy = f"give CONTROL=WEIGHT, such as edge=0.5; controls are {', '.join(CONTROLS)}"
            problems.append(
                Problem("", None, "--weight", text, "is no control with a weight above 0, at most 1", remedy)
            )
        found[name] = weight
    if problems:
        raise InputError(problems)
    return found or {"edge": 1.0}
