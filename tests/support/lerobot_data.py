"""Small LeRobot datasets in the layouts v2.1 and v3: 3 episodes, two cameras, one of them to be replaced."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cosmos_batch.dispatch.output.provenance import AttemptInfo, VideoSizes, describe, write_description
from cosmos_batch.formats.lerobot.layout import episode_name
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.info import InputFile, VideoInfo
from cosmos_batch.media.video import Frames
from cosmos_batch.run import Control, Run, Sampling
from cosmos_batch.scoring.scores import VideoScores
from tests.support.clips import moving

TOP, WRIST = "observation.images.top", "observation.images.wrist"
CAMERAS = (TOP, WRIST)
LENGTHS = (5, 7, 6)
FPS = 10
TASKS = ("pick the cube", "place the cube", "pick the cube")
WIDTH, HEIGHT = 64, 48
STATISTICS = ("min", "max", "mean", "std", "count")


def episode_frames(index: int, camera: str) -> Frames:
    """The pictures of an episode, unlike those of any other episode or camera."""
    frames = moving(LENGTHS[index], WIDTH, HEIGHT).copy()
    frames[:, -8:, :] = 40 * (index + 1) + (20 if camera == WRIST else 0)
    return frames


def info(version: str) -> dict[str, object]:
    """The content of `meta/info.json`."""
    columns = {"action": ("float32", [2]), "timestamp": ("float32", [1])}
    columns |= {name: ("int64", [1]) for name in ("frame_index", "episode_index", "index", "task_index")}
    video = {
        "video.height": HEIGHT,
        "video.width": WIDTH,
        "video.codec": "av1",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": FPS,
        "video.channels": 3,
        "has_audio": False,
    }
    shape = {"dtype": "video", "shape": [HEIGHT, WIDTH, 3], "names": ["height", "width", "channels"]}
    features: dict[str, object] = {
        name: {"dtype": kind, "shape": size, "names": None} for name, (kind, size) in columns.items()
    }
    features |= {camera: shape | {"info": video} for camera in CAMERAS}
    made: dict[str, object] = {
        "codebase_version": version,
        "robot_type": "so100",
        "total_episodes": 3,
        "total_frames": sum(LENGTHS),
        "total_tasks": 2,
        "chunks_size": 1000,
        "fps": FPS,
        "splits": {"train": "0:2", "test": "2:3"},
        "features": features,
    }
    if version == "v2.1":
        return made | {
            "total_videos": 6,
            "total_chunks": 1,
            "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
            "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        }
    return made | {
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    }


def data_columns(episodes: Sequence[int]) -> dict[str, Sequence[object]]:
    """The rows of these episodes in a data file."""
    first = np.cumsum([0, *LENGTHS])
    pairs = [(episode, frame) for episode in episodes for frame in range(LENGTHS[episode])]
    return {
        "action": [[float(episode), frame / 10] for episode, frame in pairs],
        "timestamp": [frame / FPS for _, frame in pairs],
        "frame_index": [frame for _, frame in pairs],
        "episode_index": [episode for episode, _ in pairs],
        "index": [int(first[episode]) + frame for episode, frame in pairs],
        "task_index": [0 if TASKS[episode] == TASKS[0] else 1 for episode, _ in pairs],
    }


def statistics(index: int) -> dict[str, dict[str, object]]:
    """The statistics of an episode: of the cameras those of no picture, so that new ones are seen."""
    columns = data_columns([index])
    found: dict[str, dict[str, object]] = {}
    for name, values in columns.items():
        table = np.array(values, np.float64).reshape(LENGTHS[index], -1)
        found[name] = {
            "min": table.min(0).tolist(),
            "max": table.max(0).tolist(),
            "mean": table.mean(0).tolist(),
            "std": table.std(0).tolist(),
            "count": [LENGTHS[index]],
        }
    channels = [[[0.5]]] * 3
    camera: dict[str, object] = dict.fromkeys(STATISTICS, channels) | {"count": [LENGTHS[index]]}
    return found | {name: dict(camera) for name in CAMERAS}


def write_dataset(root: Path, version: str) -> Path:
    """Write a dataset of 3 episodes, v2.1 or v3.0 (one video for all), and return its folder."""
    for folder in ("meta", "data/chunk-000"):
        (root / folder).mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info(version), indent=4))
    (root / "README.md").write_text("# demo\n")
    stats = statistics(0) | {"index": {"min": [0], "max": [17], "mean": [8.5], "std": [5.2], "count": [18]}}
    if version == "v2.1":
        _write_v2(root)
    else:
        (root / "meta/stats.json").write_text(json.dumps(stats))
        _write_v3(root)
    return root


def write_parquet(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    """Write a Parquet file, whose folder is made, with `timestamp` and `action` as float32."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {"timestamp": pa.float32(), "action": pa.list_(pa.float32(), 2)}
    arrays = {name: pa.array(values, kinds.get(name)) for name, values in columns.items()}
    pq.write_table(pa.table(arrays), path)


def _write_v2(root: Path) -> None:
    lines = {"tasks": [json.dumps({"task_index": i, "task": task}) for i, task in enumerate(TASKS[:2])]}
    lines["episodes"] = [
        json.dumps({"episode_index": i, "tasks": [TASKS[i]], "length": LENGTHS[i], "operator": f"o{i}"})
        for i in range(3)
    ]
    lines["episodes_stats"] = [json.dumps({"episode_index": i, "stats": statistics(i)}) for i in range(3)]
    for name, texts in lines.items():
        (root / f"meta/{name}.jsonl").write_text("".join(text + "\n" for text in texts))
    for index in range(3):
        write_parquet(root / f"data/chunk-000/episode_{index:06d}.parquet", data_columns([index]))
        for camera in CAMERAS:
            path = root / f"videos/chunk-000/{camera}/episode_{index:06d}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, episode_frames(index, camera), FPS)


def _write_v3(root: Path) -> None:
    tasks = pa.table({"task_index": [0, 1], "task": list(TASKS[:2])})
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "pandas_version": "2.0.0",
        "columns": [
            {
                "name": "task_index",
                "field_name": "task_index",
                "pandas_type": "int64",
                "numpy_type": "int64",
                "metadata": None,
            },
            {
                "name": "task",
                "field_name": "task",
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": None,
            },
        ],
    }
    pq.write_table(tasks.replace_schema_metadata({"pandas": json.dumps(pandas)}), root / "meta/tasks.parquet")
    write_parquet(root / "data/chunk-000/file-000.parquet", data_columns(range(3)))
    starts = np.cumsum([0, *LENGTHS]).tolist()
    columns: dict[str, Sequence[object]] = {
        "episode_index": [0, 1, 2],
        "tasks": [[task] for task in TASKS],
        "length": list(LENGTHS),
        "data/chunk_index": [0] * 3,
        "data/file_index": [0] * 3,
        "dataset_from_index": starts[:3],
        "dataset_to_index": starts[1:],
        "meta/episodes/chunk_index": [0] * 3,
        "meta/episodes/file_index": [0] * 3,
    }
    for camera in CAMERAS:
        path = root / f"videos/{camera}/chunk-000/file-000.mp4"
        path.parent.mkdir(parents=True)
        write_video(path, np.concatenate([episode_frames(index, camera) for index in range(3)]), FPS)
        columns |= {
            f"videos/{camera}/chunk_index": [0] * 3,
            f"videos/{camera}/file_index": [0] * 3,
            f"videos/{camera}/from_timestamp": [start / FPS for start in starts[:3]],
            f"videos/{camera}/to_timestamp": [start / FPS for start in starts[1:]],
        }
    found = [statistics(index) for index in range(3)]
    for feature, names in found[0].items():
        columns |= {f"stats/{feature}/{name}": [each[feature][name] for each in found] for name in names}
    write_parquet(root / "meta/episodes/chunk-000/file-000.parquet", columns)


def output_frames(index: int) -> Frames:
    """The pictures of the run of an episode."""
    return 255 - episode_frames(index, TOP)


def write_outputs(out: Path, dataset: Path, variation: str, episodes: Sequence[int] = (0, 1, 2)) -> Path:
    """Write finished runs of these episodes as `cosmos-batch run` does, and return the output folder."""
    identity = {"engine": "transfer", "model": "pocket", "weights": "w"}
    for index in episodes:
        folder = out / f"{episode_name(index)}{variation}"
        folder.mkdir(parents=True)
        run = Run(
            id=folder.name,
            prompt=f"{TASKS[index]}, snow",
            controls=(Control(name="edge", weight=1.0),),
            video=str(dataset.with_name("elsewhere.mp4")),
            sampling=Sampling(seed=3),
        )
        write_video(folder / "output.mp4", output_frames(index), 8)
        made = VideoInfo(WIDTH, HEIGHT, LENGTHS[index], 8.0)
        facts = AttemptInfo(
            attempt=1,
            batch=1,
            batch_runs=(run.id,),
            started=0.0,
            ended=1.0,
            resumed=False,
            inputs=(InputFile(str(run.video), (0, 0, 0, 0, 0), "0" * 64),),
            sizes=VideoSizes({}, made, made, made),
            guardrail=(),
            scores=VideoScores({"edge_f1": 0.75}),
        )
        write_description(folder, describe(run, folder, identity, facts))
    return out
