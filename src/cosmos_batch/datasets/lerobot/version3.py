"""Copies in the layout v3: many episodes in a data file and in a video, metadata in Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from cosmos_batch.datasets.lerobot.copying import (
    NUMBERED,
    CopyPlan,
    EpisodeStatistics,
    provenance,
    read_statistics,
    renumbered,
    write_statistics,
)
from cosmos_batch.datasets.lerobot.joined_video import join_videos
from cosmos_batch.datasets.lerobot.statistics import as_json
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.lerobot.layout import INFO, CameraEpisodes, episode_files, template_path
from cosmos_batch.formats.lerobot.tables import column_names, read_rows, rewrite
from cosmos_batch.formats.problems import Location

_STATS = "stats/"
_DATA = Path("data")

Columns = dict[str, dict[int, object]]
"""Values of columns, by the old index of the episode."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where an episode is in the new videos."""

    chunk: int
    file: int
    first: int  # number of its first frame in the file


def episode_statistic_names(dataset: CameraEpisodes) -> set[str]:
    """Names of the statistics of the camera's episodes. Raises InputError."""
    prefix = f"{_STATS}{dataset.camera}/"
    names = (name for path in episode_files(dataset.root) for name in column_names(path))
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def write_copy(plan: CopyPlan) -> set[Path]:
    """Write what differs from the source; returns the files of the source that are not to be linked.

    Raises InputError, MediaError, StorageError and OSError.
    """
    statistics = _episode_statistics(plan)
    columns = _video_columns(plan, _write_videos(plan)) | _statistic_columns(plan, statistics)
    if not plan.numbering.is_whole:
        columns |= _number_columns(plan)
    for path in episode_files(plan.dataset.root):
        _write_episodes(plan, path, columns)
    write_statistics(plan, [statistics[index] for index in plan.numbering.kept])
    done = {path.relative_to(plan.dataset.root) for path in episode_files(plan.dataset.root)}
    return done | plan.camera_files() | (set() if plan.numbering.is_whole else set(_renumber_data(plan)))


def _write_videos(plan: CopyPlan) -> dict[int, _Placed]:
    """Join the outputs as the source joins its episodes; returns where each episode is.

    A new file begins, too, where outputs differ in their encoding.
    """
    pairs = zip(plan.variation.made, plan.videos, strict=True)
    placed = {}
    groups = groupby(pairs, key=lambda pair: (pair[0].episode.video, pair[1].encoding))
    for number, (_, members) in enumerate(groups):
        inside = list(members)
        chunk, file = divmod(number, plan.info.chunks_size)
        values = {"video_key": plan.dataset.camera, "chunk_index": chunk, "file_index": file}
        path = template_path(plan.info, "video_path", values, Location(str(plan.dataset.root / INFO)))
        join_videos([video for _, video in inside], plan.target(path), plan.info.rate)
        first = 0
        for made, video in inside:
            placed[made.episode.index] = _Placed(chunk, file, first)
            first += video.frames
    return placed


def _video_columns(plan: CopyPlan, placed: Mapping[int, _Placed]) -> Columns:
    rate, lengths, prefix = plan.info.rate, plan.numbering.lengths, f"videos/{plan.dataset.camera}/"
    return {
        f"{prefix}chunk_index": {index: each.chunk for index, each in placed.items()},
        f"{prefix}file_index": {index: each.file for index, each in placed.items()},
        f"{prefix}from_timestamp": {index: float(each.first / rate) for index, each in placed.items()},
        f"{prefix}to_timestamp": {
            index: float((each.first + lengths[index]) / rate) for index, each in placed.items()
        },
    }


def _number_columns(plan: CopyPlan) -> Columns:
    """The numbers of the episodes and of their frames."""
    first, lengths = plan.numbering.first_frames, plan.numbering.lengths
    return {
        "episode_index": dict(plan.numbering.new_index),
        "dataset_from_index": dict(first),
        "dataset_to_index": {index: start + lengths[index] for index, start in first.items()},
    }


def _episode_statistics(plan: CopyPlan) -> dict[int, EpisodeStatistics]:
    """Statistics of the kept episodes with their new numbers and without the camera, by old index."""
    found: dict[int, EpisodeStatistics] = {}
    for path in episode_files(plan.dataset.root):
        names = [name for name in column_names(path) if name.startswith(_STATS)]
        for row in read_rows(path, ["episode_index", *names]):
            index = int(str(row["episode_index"]))
            if index not in plan.numbering.new_index:
                continue
            nested: dict[str, dict[str, object]] = {}
            for name in names:
                feature, _, statistic = name.removeprefix(_STATS).rpartition("/")
                if feature != plan.dataset.camera and row[name] is not None:
                    nested.setdefault(feature, {})[statistic] = row[name]
            found[index] = renumbered(plan, index, read_statistics(nested, path))
    return found


def _statistic_columns(plan: CopyPlan, statistics: Mapping[int, EpisodeStatistics]) -> Columns:
    """New statistics of the camera, and of the numbers that changed."""
    columns: Columns = {}
    changed = () if plan.numbering.is_whole else NUMBERED
    for index, camera in zip(plan.numbering.kept, plan.statistics, strict=True):
        own = {feature: statistics[index][feature] for feature in changed if feature in statistics[index]}
        for feature, each in (own | {plan.dataset.camera: camera}).items():
            for name, value in as_json(each).items():
                columns.setdefault(f"{_STATS}{feature}/{name}", {})[index] = value
    return columns


def _write_episodes(plan: CopyPlan, path: Path, columns: Columns) -> None:
    """Write a file of metadata of episodes, unless none of its episodes is kept."""
    indices = [int(str(row["episode_index"])) for row in read_rows(path, ["episode_index"])]
    made = {each.episode.index: each for each in plan.variation.made}
    rows = [number for number, index in enumerate(indices) if index in made]
    if not rows:
        return
    kept = [indices[number] for number in rows]
    present = column_names(path)
    replaced = {name: [values[index] for index in kept] for name, values in columns.items() if name in present}
    facts = [provenance(plan, made[index]) for index in kept]
    added = {name: [each[name] for each in facts] for name in facts[0]}
    own = f"{_STATS}{plan.dataset.camera}/"
    unknown = [name for name in present if name.startswith(own) and name not in columns]
    target = plan.target(path.relative_to(plan.dataset.root))
    rewrite(path, target, rows, replaced, added, unknown)


def _renumber_data(plan: CopyPlan) -> Iterator[Path]:
    """Write the rows of kept episodes with their new numbers; yield the files of the source."""
    new, shift = plan.numbering.new_index, plan.numbering.frame_shift
    root = plan.dataset.root
    files = sorted((root / _DATA).glob("*/*.parquet"))
    if not files:
        raise InputError([Problem(str(root / _DATA), None, "", "", "holds no data", "download the whole dataset")])
    for path in files:
        pairs = [
            (int(str(row["episode_index"])), int(str(row["index"])))
            for row in read_rows(path, ["episode_index", "index"])
        ]
        rows = [number for number, (episode, _) in enumerate(pairs) if episode in new]
        kept = [pairs[number] for number in rows]
        replaced = {
            "episode_index": [new[episode] for episode, _ in kept],
            "index": [index + shift[episode] for episode, index in kept],
        }
        relative = path.relative_to(root)
        if rows:
            rewrite(path, plan.target(relative), rows, replaced, {})
        yield relative
