"""Datasets with a replaced camera: one copy for each variation, all else as it was."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from cosmos_batch.datasets.lerobot import version2, version3
from cosmos_batch.datasets.lerobot.copying import (
    CopyPlan,
    link_or_copy,
    source_files,
    statistic_names,
    write_info,
)
from cosmos_batch.datasets.lerobot.joined_video import EncodedVideo, encoded_video
from cosmos_batch.datasets.lerobot.made_runs import MadeEpisode, Variation
from cosmos_batch.datasets.lerobot.numbering import Numbering
from cosmos_batch.datasets.lerobot.statistics import camera_statistics
from cosmos_batch.errors import InputError, OutputError, Problem, StorageError
from cosmos_batch.formats.lerobot.layout import INFO, CameraEpisodes
from cosmos_batch.media.atomic import describe_folder_error
from cosmos_batch.media.video import frames_of


def check_target(dataset: CameraEpisodes, target: Path) -> None:
    """Raise InputError where a dataset cannot be written: something is there, or it is inside the source."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError([Problem("", None, "-o", str(target), "exists", "name a new folder")])
    if target.resolve().is_relative_to(dataset.root.resolve()):
        raise InputError(
            [Problem("", None, "-o", str(target), "is inside the dataset", "name a folder elsewhere")]
        )


def export(dataset: CameraEpisodes, variations: Sequence[Variation], target: Path) -> list[Path]:
    """Write the copies: `target` itself where there is one variation, else a folder in it for each.

    `target` appears whole or not at all. Raises InputError, MediaError, OutputError and StorageError.
    """
    check_target(dataset, target)
    target = target.absolute()
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    single = len(variations) == 1
    try:
        part.mkdir(parents=True)
        for variation in variations:
            _write(dataset, variation, part if single else part / variation.name)
        if target.exists():
            target.rmdir()
        part.rename(target)
    except OSError as error:
        raise StorageError(f"the folder {target} {describe_folder_error(error)}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return [target] if single else [target / variation.name for variation in variations]


def _write(dataset: CameraEpisodes, variation: Variation, folder: Path) -> None:
    """Write the copy of one variation."""
    layout = version3 if dataset.info.is_v3 else version2
    names = statistic_names(dataset.root, dataset.camera) | layout.episode_statistic_names(dataset)
    kept = tuple(made.episode.index for made in variation.made)
    plan = CopyPlan(
        dataset=dataset,
        variation=variation,
        numbering=Numbering(tuple(episode.length for episode in dataset.episodes), kept),
        videos=tuple(_encoded(made) for made in variation.made),
        statistics=tuple(
            camera_statistics(frames_of(made.video), made.episode.length, names) for made in variation.made
        ),
        folder=folder,
    )
    done = layout.write_copy(plan)
    write_info(plan)
    for path in source_files(dataset.root):
        if path != INFO and not (folder / path).exists() and path not in done:
            link_or_copy(dataset.root / path, plan.target(path))


def _encoded(made: MadeEpisode) -> EncodedVideo:
    video = encoded_video(made.video)
    if video.frames != made.episode.length:
        raise OutputError(
            f"{made.video} has {video.frames} frames, and {made.episode.name} {made.episode.length}; make it again"
        )
    return video
