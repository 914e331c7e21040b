"""HDF5 demonstrations in robomimic's layout, as Isaac Lab records them, with finished videos in place of a camera.

The layout is that of robomimic's documentation (datasets/overview) and of Isaac Lab's tools/mp4_to_hdf5.py:
`data/demo_N` holds `actions`, `obs/<name>` and the attribute `num_samples`; a camera is [frames, height, width,
3], uint8, RGB. New demonstrations get the next numbers after those that are there, which are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmos_batch.datasets.finished_runs import FinishedFolder
from cosmos_batch.errors import InputError, MediaError, MissingExtraError, Problem, StorageError
from cosmos_batch.media.atomic import describe_folder_error, replacing
from cosmos_batch.media.video import Frames, frames_of, resized

_DEMO = re.compile(r"(?:^|[_.-])demo_(\d+)(?:[_.-]|$)")


@dataclass(frozen=True, slots=True)
class NewDemo:
    """A demonstration that was written."""

    name: str  # demo_12
    source: str  # demo_3, from which all but the camera was copied
    run_id: str


def demo_of(run_id: str) -> str | None:
    """The demonstration that an id names, as `demo_3`; None where it names none."""
    found = _DEMO.search(run_id)
    return None if found is None else f"demo_{int(found[1])}"


def write_demos(runs: Sequence[FinishedFolder], dataset: Path, camera: str, target: Path) -> list[NewDemo]:
    """Write the demonstrations of a file and, behind them, one more for each finished run whose id names one.

    Raises InputError with all problems, MissingExtraError without h5py, and StorageError.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("an HDF5 dataset", "datasets") from error
    if target.exists():
        raise InputError([Problem(str(target), None, "", "", "exists already", "name a new file")])
    try:
        with h5py.File(dataset, "r") as source:
            problems = [*_faults(source, runs, dataset, camera)]
            if problems:
                raise InputError(problems)
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as part, h5py.File(part, "w") as made:
                return [*_written(source, made, runs, camera)]
    except OSError as error:
        if not dataset.is_file() or not h5py.is_hdf5(dataset):
            remedy = "name the HDF5 file of the demonstrations"
            raise InputError([Problem(str(dataset), None, "", "", "is no HDF5 file", remedy)]) from error
        raise StorageError(f"the folder {target.parent} {describe_folder_error(error)}") from error


def _faults(source: Any, runs: Sequence[FinishedFolder], dataset: Path, camera: str) -> Iterator[Problem]:
    """Why finished runs cannot stand for a camera of the demonstrations."""
    if "data" not in source:
        remedy = "name a file in robomimic's layout, such as Isaac Lab records"
        yield Problem(str(dataset), None, "data", "", "is missing", remedy)
        return
    named = [run for run in runs if demo_of(run.id)]
    if not named:
        remedy = "give runs ids that hold demo_0, demo_1 and so on"
        yield Problem(str(dataset), None, "", "", "has no demonstration that a finished run names", remedy)
    for run in named:
        demo = demo_of(run.id)
        place = f"data/{demo}/obs/{camera}"
        if f"data/{demo}" not in source:
            yield Problem(str(dataset), None, f"data/{demo}", run.id, "is not in the file", "leave the run out")
        elif place not in source:
            known = ", ".join(source[f"data/{demo}/obs"]) if f"data/{demo}/obs" in source else "none"
            yield Problem(str(dataset), None, place, run.id, "is not in the file", f"name a camera of it: {known}")
        elif len(shape := source[place].shape) != 4 or shape[-1] != 3:
            yield Problem(str(dataset), None, place, str(shape), "is no camera", "name one of frames in RGB")
        elif (count := run.record["output"]["frames"]) != shape[0]:
            message = f"is not {shape[0]}, the length of {demo}"
            yield Problem(str(run.folder), None, "output.frames", str(count), message, "make all of its frames")


def _written(source: Any, made: Any, runs: Sequence[FinishedFolder], camera: str) -> Iterator[NewDemo]:
    for name in source:
        source.copy(name, made)
    made.attrs.update(source.attrs)
    data = made["data"]
    numbers = [int(name.removeprefix("demo_")) for name in data if re.fullmatch(r"demo_\d+", name)]
    added = 0
    for number, run in enumerate([run for run in runs if demo_of(run.id)], max(numbers) + 1):
        demo, name = str(demo_of(run.id)), f"demo_{number}"
        source.copy(f"data/{demo}", data, name=name)
        group = data[name]
        height, width = group["obs"][camera].shape[1:3]
        del group["obs"][camera]
        group["obs"].create_dataset(camera, data=_frames(run.output, (width, height)), compression="gzip")
        group.attrs["source_demo"] = demo
        group.attrs["cosmos_batch"] = json.dumps(
            {"id": run.id, "prompt": run.prompt, "key": run.record.get("key"), "scores": run.record.get("scores")}
        )
        added += int(group.attrs.get("num_samples", len(group["actions"]) if "actions" in group else 0))
        yield NewDemo(name, demo, run.id)
    if "total" in data.attrs:
        data.attrs["total"] = int(data.attrs["total"]) + added


def _frames(video: Path, size: tuple[int, int]) -> Frames:
    """Every frame at a size (width, height): [frames, height, width, 3]. Raises MediaError."""
    frames = [resized(frame, size) for frame in frames_of(video)]
    if not frames:
        raise MediaError(f"{video}: has no frames")
    return np.stack(frames)
