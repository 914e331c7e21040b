"""Reader of LeRobot datasets as LeRobot's own loader reads them, by the documented layout and its tolerance.

The package `lerobot` cannot be a dependency of the tests: it pins versions of PyTorch and PyAV below ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq

from cosmos_batch.media.video import Frames

TOLERANCE = 1e-4
"""Seconds by which a frame may be beside the time of its row: `tolerance_s` of `LeRobotDataset`."""


@dataclass(frozen=True, slots=True)
class LoadedEpisode:
    """An episode of a dataset."""

    metadata: Mapping[str, object]  # the row or line of the episode
    rows: list[dict[str, object]]  # of the data
    frames: Mapping[str, Frames]  # by camera, one for each row


def load(root: Path) -> list[LoadedEpisode]:
    """The episodes of a dataset. Fails where numbers are not consecutive, or a row has no frame at its time."""
    info = json.loads((root / "meta/info.json").read_text())
    cameras = [name for name, feature in info["features"].items() if feature["dtype"] == "video"]
    rows = [row for path in sorted((root / "data").glob("*/*.parquet")) for row in pq.read_table(path).to_pylist()]
    assert [row["index"] for row in rows] == list(range(info["total_frames"]))
    found = []
    for number, metadata in enumerate(_metadata(root, info["codebase_version"])):
        assert metadata["episode_index"] == number
        own = [row for row in rows if row["episode_index"] == number]
        assert len(own) == metadata["length"]
        frames = {}
        for camera in cameras:
            start, values = 0.0, {"video_key": camera, "episode_index": number, "episode_chunk": 0}
            if info["codebase_version"] != "v2.1":
                prefix = f"videos/{camera}/"
                values |= {name: metadata[prefix + name] for name in ("chunk_index", "file_index")}
                start = float(metadata[f"{prefix}from_timestamp"])
            times = [start + float(row["timestamp"]) for row in own]
            frames[camera] = frames_at(root / info["video_path"].format(**values), times)
            assert list(frames[camera].shape[1:]) == info["features"][camera]["shape"]
        found.append(LoadedEpisode(metadata, own, frames))
    assert len(found) == info["total_episodes"]
    return found


def frames_at(path: Path, times: list[float]) -> Frames:
    """The frames that are shown at these times, in seconds."""
    with av.open(str(path)) as container:
        decoded = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    shown = np.array([time for time, _ in decoded], np.float64)
    nearest = [int(np.abs(shown - time).argmin()) for time in times]
    assert max(abs(shown[number] - time) for number, time in zip(nearest, times, strict=True)) < TOLERANCE
    return np.stack([decoded[number][1] for number in nearest])


def _metadata(root: Path, version: str) -> list[dict[str, object]]:
    if version == "v2.1":
        return [json.loads(line) for line in (root / "meta/episodes.jsonl").read_text().splitlines()]
    files = sorted((root / "meta/episodes").glob("*/*.parquet"))
    return [row for path in files for row in pq.read_table(path).to_pylist()]
