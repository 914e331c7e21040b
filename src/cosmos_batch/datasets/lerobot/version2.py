"""Copies in the layout v2.1: a data file and a video for each episode, metadata in JSONL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cosmos_batch.datasets.lerobot.copying import (
    CopyPlan,
    EpisodeStatistics,
    link_or_copy,
    provenance,
    read_statistics,
    renumbered,
    write_statistics,
)
from cosmos_batch.datasets.lerobot.joined_video import join_videos
from cosmos_batch.datasets.lerobot.statistics import Statistics, as_json
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.lerobot.layout import (
    EPISODES_V2,
    INFO,
    CameraEpisodes,
    json_lines,
    template_path,
    v2_values,
)
from cosmos_batch.formats.lerobot.tables import read_rows, rewrite
from cosmos_batch.formats.problems import Location

EPISODES_STATS = Path("meta/episodes_stats.jsonl")


def episode_statistic_names(dataset: CameraEpisodes) -> set[str]:
    """Names of the statistics of the camera's episodes. Raises InputError."""
    return {name for each in _episode_statistics(dataset).values() for name in each.get(dataset.camera, ())}


def write_copy(plan: CopyPlan) -> set[Path]:
    """Write what differs from the source; returns the files of the source that are not to be linked.

    Raises InputError, MediaError, StorageError and OSError.
    """
    statistics = _kept_statistics(plan)
    _write_episodes(plan)
    if statistics:
        _write_lines(
            plan,
            EPISODES_STATS,
            [
                {"episode_index": index, "stats": {feature: as_json(each) for feature, each in own.items()}}
                for index, own in enumerate(statistics)
            ],
        )
    write_statistics(plan, statistics)
    done = {EPISODES_V2, EPISODES_STATS} | plan.camera_files()
    for made, video in zip(plan.variation.made, plan.videos, strict=True):
        new = plan.numbering.new_index[made.episode.index]
        join_videos([video], plan.target(_video(plan, plan.dataset.camera, new)), plan.info.rate)
    if not plan.numbering.is_whole:
        done |= _renumber(plan)
    return done


def _write_episodes(plan: CopyPlan) -> None:
    made = {each.episode.index: each for each in plan.variation.made}
    rows = {row["episode_index"]: row for _, row in json_lines(plan.dataset.root / EPISODES_V2)}
    _write_lines(
        plan,
        EPISODES_V2,
        [
            rows[old] | {"episode_index": new} | provenance(plan, made[old])
            for old, new in plan.numbering.new_index.items()
        ],
    )


def _episode_statistics(dataset: CameraEpisodes) -> dict[int, EpisodeStatistics]:
    """The statistics of the source's episodes, by index. Raises InputError."""
    path = dataset.root / EPISODES_STATS
    if not path.is_file():
        return {}
    found: dict[int, EpisodeStatistics] = {}
    for location, row in json_lines(path):
        index = row.get("episode_index")
        if not isinstance(index, int):
            raise InputError(
                [location.problem("episode_index", "is not a whole number", "restore the file", index)]
            )
        found[index] = read_statistics(row.get("stats"), path)
    return found


def _kept_statistics(plan: CopyPlan) -> list[EpisodeStatistics]:
    """Statistics of the kept episodes, with those of the new videos; none where the source has none."""
    source = _episode_statistics(plan.dataset)
    if not source:
        return []
    missing = [index for index in plan.numbering.kept if index not in source]
    if missing:
        path = str(plan.dataset.root / EPISODES_STATS)
        message = f"has no statistics of the episodes {', '.join(map(str, missing))}"
        raise InputError([Problem(path, None, "", "", message, "restore the file")])
    camera = plan.dataset.camera
    found: list[EpisodeStatistics] = []
    for index, new in zip(plan.numbering.kept, plan.statistics, strict=True):
        own: Mapping[str, Statistics] = renumbered(plan, index, source[index])
        found.append({**own, camera: new} if camera in own else own)
    return found


def _renumber(plan: CopyPlan) -> set[Path]:
    """Write the data and the other videos of the kept episodes under their new numbers."""
    done = set()
    root = plan.dataset.root
    others = [camera for camera in plan.info.cameras if camera != plan.dataset.camera]
    for old in range(len(plan.numbering.lengths)):
        data = _data(plan, old)
        videos = {camera: _video(plan, camera, old) for camera in others}
        done |= {data, *videos.values()}
        new = plan.numbering.new_index.get(old)
        if new is None:
            continue
        rows = read_rows(root / data, ["index"])
        shift = plan.numbering.frame_shift[old]
        replaced = {
            "index": [int(str(row["index"])) + shift for row in rows],
            "episode_index": [new] * len(rows),
        }
        rewrite(root / data, plan.target(_data(plan, new)), range(len(rows)), replaced, {})
        for camera, video in videos.items():
            link_or_copy(root / video, plan.target(_video(plan, camera, new)))
    return done


def _data(plan: CopyPlan, index: int) -> Path:
    location = Location(str(plan.dataset.root / INFO))
    return template_path(plan.info, "data_path", v2_values(plan.info, "", index), location)


def _video(plan: CopyPlan, camera: str, index: int) -> Path:
    location = Location(str(plan.dataset.root / INFO))
    return template_path(plan.info, "video_path", v2_values(plan.info, camera, index), location)


def _write_lines(plan: CopyPlan, path: Path, rows: list[dict[str, object]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    plan.target(path).write_text("".join(lines), encoding="utf-8")
