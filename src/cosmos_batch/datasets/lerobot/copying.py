"""What the copies of both layouts have in common: their plan, provenance, info, statistics and linked files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from cosmos_batch.datasets.lerobot.joined_video import EncodedVideo
from cosmos_batch.datasets.lerobot.made_runs import MadeEpisode, Variation
from cosmos_batch.datasets.lerobot.numbering import Numbering
from cosmos_batch.datasets.lerobot.statistics import Statistics, as_json, pooled, shifted
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.lerobot.layout import INFO, CameraEpisodes, DatasetInfo, read_json

STATS = Path("meta/stats.json")
NUMBERED = ("index", "episode_index")
"""Columns whose values change where episodes are left out."""

_CACHES = (".cache", ".git")  # folders of a download, which are no part of a dataset
_PREFIX = "cosmos/"
_STATISTICS = TypeAdapter(dict[str, dict[str, object]])

EpisodeStatistics = Mapping[str, Statistics]
"""Statistics of an episode, by feature."""


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """The copy of a dataset for one variation."""

    dataset: CameraEpisodes
    variation: Variation
    numbering: Numbering
    videos: tuple[EncodedVideo, ...]  # the outputs, in the order of the episodes that are kept
    statistics: tuple[Statistics, ...]  # of the outputs
    folder: Path  # where it is written

    @property
    def info(self) -> DatasetInfo:
        """The info of the source."""
        return self.dataset.info

    def camera_files(self) -> set[Path]:
        """The files of the source that hold videos of the camera."""
        folder = self.dataset.camera
        own = {path for path in source_files(self.dataset.root) if folder in path.parts and path.suffix == ".mp4"}
        return own | {episode.video for episode in self.dataset.episodes}

    def target(self, path: Path) -> Path:
        """The path of a file of the copy, whose folder is made."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def provenance(plan: CopyPlan, made: MadeEpisode) -> dict[str, str | int | None]:
    """What made an episode's video, as columns of the episode's metadata."""
    record = made.record
    facts: dict[str, str | int | None] = {
        "source_episode": made.episode.index,
        "camera": plan.dataset.camera,
        "variation": plan.variation.name,
        "run_id": record.id,
        "prompt": record.run.prompt,
        "seed": record.run.sampling.seed,
        "engine": record.made_by.get("engine"),
        "model": record.made_by.get("model"),
        "weights": record.made_by.get("weights"),
        "key": record.key,
        "sha256": made.digest,
        "scores": json.dumps(record.scores),
        "run": record.run.model_dump_json(),
    }
    return {_PREFIX + name: value for name, value in facts.items()}


def source_files(root: Path) -> Iterator[Path]:
    """Yield the files of a dataset, relative to it. Raises OSError."""
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if name not in _CACHES)
        yield from (Path(folder, name).relative_to(root) for name in sorted(names))


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where its file system does not allow that. Raises OSError."""
    real = source.resolve()
    try:
        os.link(real, target)
    except OSError:
        shutil.copy2(real, target)


def write_json(path: Path, value: object) -> None:
    """Write JSON as LeRobot does. Raises OSError."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=4) + "\n", encoding="utf-8")


def write_info(plan: CopyPlan) -> None:
    """Write `info.json` with the size and encoding of the new videos, and the numbers of what is kept."""
    info = read_json(plan.dataset.root / INFO)
    features = info["features"]
    assert isinstance(features, dict)
    _update_feature(features[plan.dataset.camera], plan)
    numbering = plan.numbering
    if not numbering.is_whole:
        kept = len(numbering.kept)
        totals = {
            "total_episodes": kept,
            "total_frames": numbering.frames,
            "total_videos": kept * len(plan.info.cameras),
            "total_chunks": -(-kept // plan.info.chunks_size),
        }
        info |= {name: value for name, value in totals.items() if name in info}
        splits = info.get("splits")
        if isinstance(splits, dict):
            info["splits"] = {name: numbering.split(str(text)) for name, text in splits.items()}
    write_json(plan.target(INFO), info)


def _update_feature(feature: dict[str, object], plan: CopyPlan) -> None:
    encoding = plan.videos[0].encoding
    sizes = {"height": encoding.height, "width": encoding.width}
    names, shape = feature.get("names"), feature["shape"]
    assert isinstance(shape, list)
    if not (isinstance(names, list) and {"height", "width"} <= set(names) and len(names) == len(shape)):
        names = ["height", "width", "channels"]
    feature["shape"] = [sizes.get(name, number) for name, number in zip(names, shape, strict=False)]
    facts = {f"video.{name}": value for name, value in sizes.items()} | {
        "video.codec": encoding.codec,
        "video.pix_fmt": encoding.pixels,
        "video.channels": 3,
        "has_audio": False,
    }
    for key in ("info", "video_info"):
        described = feature.get(key)
        if isinstance(described, dict):
            kept = {name: value for name, value in described.items() if not name.startswith("audio.")}
            feature[key] = kept | {name: value for name, value in facts.items() if name in kept}


def read_statistics(value: object, path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Statistics by feature, from JSON. Raises InputError."""
    try:
        found = _STATISTICS.validate_python(value)
        return {
            feature: {name: np.asarray(number, np.float64) for name, number in each.items()}
            for feature, each in found.items()
        }
    except (ValidationError, ValueError, TypeError) as error:
        problem = Problem(str(path), None, "", "", "holds no statistics by feature", "download it again")
        raise InputError([problem]) from error


def renumbered(plan: CopyPlan, index: int, statistics: EpisodeStatistics) -> dict[str, Statistics]:
    """Statistics of an episode of the source, with its new numbers. `index`: its old one."""
    distances = (plan.numbering.frame_shift[index], plan.numbering.new_index[index] - index)
    shifts = dict(zip(NUMBERED, distances, strict=True))
    return {
        feature: shifted(each, shifts[feature]) if feature in shifts else each
        for feature, each in statistics.items()
    }


def write_statistics(plan: CopyPlan, episodes: Sequence[EpisodeStatistics]) -> None:
    """Write `stats.json`, if the source has it, for what is kept. `episodes`: statistics of the kept ones."""
    path = plan.dataset.root / STATS
    if not path.is_file():
        return
    stats = read_json(path)
    for feature, names in read_statistics(stats, path).items():
        if feature == plan.dataset.camera:
            own: Sequence[Statistics] = plan.statistics
        else:
            own = [each[feature] for each in episodes if feature in each and "count" in each[feature]]
            if plan.numbering.is_whole or len(own) < len(plan.numbering.kept):
                continue
        found = as_json(pooled(own))
        stats[feature] = {name: found[name] for name in names if name in found}
    write_json(plan.target(STATS), stats)


def statistic_names(root: Path, camera: str) -> set[str]:
    """Names of the statistics of a camera in `stats.json`. Raises InputError."""
    path = root / STATS
    return set(read_statistics(read_json(path), path).get(camera, ())) if path.is_file() else set()
