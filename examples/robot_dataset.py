"""`python -m examples.robot_dataset DIR`: draw a small LeRobot dataset, layout v3, with prompts beside it.

Three episodes of an arm that pushes a block over a table, in one video file. Needs the extra `datasets`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmos_batch.media.encode import write_video

CAMERA = "observation.images.top"
TASKS = ("push the red block", "push the yellow block", "push the green block")
COLOURS = ((200, 60, 50), (220, 190, 60), (60, 170, 80))
LENGTHS = (5, 6, 5)  # frames of each episode
FPS, WIDTH, HEIGHT = 10, 96, 64
PROMPTS = {
    "kitchen": "{task}, in a kitchen at night",
    "workshop": "{task}, on a workbench in bright sun",
    "snow": "{task}, outdoors in deep snow",
}


def episode(index: int) -> NDArray[np.uint8]:
    """The frames of an episode [frames, height, width, 3]."""
    frames = np.full((LENGTHS[index], HEIGHT, WIDTH, 3), (150, 140, 125), np.uint8)
    frames[:, : HEIGHT // 4] = (90, 95, 105)
    for number, frame in enumerate(frames):
        right = 24 + 8 * number
        frame[30:38, :right] = (60, 60, 66)
        frame[26:42, right : right + 16] = COLOURS[index]
    return frames


def write_dataset(root: Path) -> None:
    """Write the dataset into a folder that does not exist yet."""
    starts = [sum(LENGTHS[:index]) for index in range(len(LENGTHS) + 1)]
    _write_info(root)
    tasks: dict[str, Sequence[object]] = {"task_index": list(range(len(TASKS))), "task": list(TASKS)}
    _write_table(root / "meta/tasks.parquet", tasks)
    rows = [(index, frame) for index, length in enumerate(LENGTHS) for frame in range(length)]
    data: dict[str, Sequence[object]] = {
        "action": [[0.1 * frame, float(index)] for index, frame in rows],
        "timestamp": [frame / FPS for _, frame in rows],
        "frame_index": [frame for _, frame in rows],
        "episode_index": [index for index, _ in rows],
        "index": list(range(len(rows))),
        "task_index": [index for index, _ in rows],
    }
    _write_table(root / "data/chunk-000/file-000.parquet", data)
    video = root / f"videos/{CAMERA}/chunk-000/file-000.mp4"
    video.parent.mkdir(parents=True)
    write_video(video, np.concatenate([episode(index) for index in range(len(LENGTHS))]), FPS)
    nothing = [0] * len(LENGTHS)
    episodes: dict[str, Sequence[object]] = {
        "episode_index": list(range(len(LENGTHS))),
        "tasks": [[task] for task in TASKS],
        "length": list(LENGTHS),
        "data/chunk_index": nothing,
        "data/file_index": nothing,
        "dataset_from_index": starts[:-1],
        "dataset_to_index": starts[1:],
        "meta/episodes/chunk_index": nothing,
        "meta/episodes/file_index": nothing,
        f"videos/{CAMERA}/chunk_index": nothing,
        f"videos/{CAMERA}/file_index": nothing,
        f"videos/{CAMERA}/from_timestamp": [start / FPS for start in starts[:-1]],
        f"videos/{CAMERA}/to_timestamp": [start / FPS for start in starts[1:]],
    }
    _write_table(root / "meta/episodes/chunk-000/file-000.parquet", episodes)


def _write_info(root: Path) -> None:
    columns = {"action": ("float32", [2]), "timestamp": ("float32", [1])}
    columns |= {name: ("int64", [1]) for name in ("frame_index", "episode_index", "index", "task_index")}
    features: dict[str, object] = {
        name: {"dtype": kind, "shape": shape, "names": None} for name, (kind, shape) in columns.items()
    }
    features[CAMERA] = {
        "dtype": "video",
        "shape": [HEIGHT, WIDTH, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": HEIGHT,
            "video.width": WIDTH,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": FPS,
            "video.channels": 3,
            "has_audio": False,
        },
    }
    info = {
        "codebase_version": "v3.0",
        "robot_type": "drawn",
        "total_episodes": len(LENGTHS),
        "total_frames": sum(LENGTHS),
        "total_tasks": len(TASKS),
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 500,
        "fps": FPS,
        "splits": {"train": f"0:{len(LENGTHS)}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": features,
    }
    (root / "meta").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info, indent=1))


def _write_table(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {"timestamp": pa.float32(), "action": pa.list_(pa.float32(), 2)}
    pq.write_table(pa.table({name: pa.array(values, kinds.get(name)) for name, values in columns.items()}), path)


def main(root: Path) -> int:
    """Write the dataset, and prompts.json beside it; returns the exit code."""
    if root.exists():
        print(f"{root} exists; name another folder", file=sys.stderr)
        return 2
    write_dataset(root)
    (root.parent / "prompts.json").write_text(json.dumps(PROMPTS, indent=1) + "\n")
    print(f"{root}: {len(LENGTHS)} episodes, {sum(LENGTHS)} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "demos")))
