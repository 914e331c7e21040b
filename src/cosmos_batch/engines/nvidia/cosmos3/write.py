"""Writes the JSONL of Cosmos 3's transfer samples, every setting written out."""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

from cosmos_batch.controls import CONTROLS
from cosmos_batch.engines.nvidia.cosmos3.traits import frames_per_chunk
from cosmos_batch.engines.nvidia.launch_files import (
    LaunchFiles,
    LaunchFolder,
    Sample,
    Stage,
    launch_name,
    number,
    write_text,
)
from cosmos_batch.engines.resolutions import COSMOS3_SIZES, parsed, place_of
from cosmos_batch.errors import PlanError
from cosmos_batch.formats.nvidia.cosmos3 import NEGATIVE_METADATA, SHIFT, control_guidance
from cosmos_batch.formats.nvidia.prompt_files import json_object
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.plan import Launch
from cosmos_batch.run import Control, Cosmos3Settings, ResolvedRun


def write_cosmos3(launch: Launch, folder: Path, *, stage: Stage = str) -> LaunchFiles:
    """Write a launch into `folder` as `batch_0001.jsonl`.

    Edge and blur videos that no run gives are left to the script, which makes them by
    preset, deterministically. The aspect ratio is written, because the script's default is 16:9.

    Raises PlanError for a launch that the script would not make as asked, MediaError if a video cannot be
    probed, and StorageError if something cannot be written.
    """
    target = LaunchFolder(folder.absolute(), launch_name(launch), stage)
    records = [_record(run, target) for run in launch.runs]
    lines = target.write_lines(".jsonl", records)
    staged = stage(lines)
    if "*" in staged:
        raise PlanError(f"{staged}: Cosmos 3 takes '*' in a file's name for a pattern; choose another folder")
    return LaunchFiles(
        files=(lines,),
        arguments=("-i", staged, "-o", stage(target.outputs)),
        samples=tuple(_sample(run, target) for run in launch.runs),
        batch_size=1,
        inputs=tuple(target.inputs),
        outputs=target.outputs,
    )


def _record(run: ResolvedRun, target: LaunchFolder) -> dict[str, Any]:
    sampling, own = run.sampling, run.cosmos3 or Cosmos3Settings()
    resolution, aspect = _size(run)
    record: dict[str, Any] = {
        "name": run.id,
        "model_mode": "image2image" if sampling.num_frames == 1 else "video2video",
        "prompt": run.prompt,
        **_negative_prompt(sampling.negative_prompt, target),
        "negative_metadata_mode": own.negative_metadata or NEGATIVE_METADATA,
        "negative_prompt_keep_metadata": False,
        "seed": sampling.seed,
        "num_outputs": 1,
        "num_steps": sampling.num_steps,
        "guidance": sampling.guidance,
        "control_guidance": control_guidance(run.signature),
        "shift": SHIFT,
        "resolution": resolution,
        "aspect_ratio": "{},{}".format(*aspect),
        "max_frames": sampling.num_frames,
        "num_video_frames_per_chunk": frames_per_chunk(run),
        "num_conditional_frames": 1,
        "num_first_chunk_conditional_frames": 0,
        "share_vision_temporal_positions": True,
        "emphasize_control_in_prompt": True,
        "show_control_condition": False,
        "show_input": False,
    }
    if sampling.num_frames == 1:
        record["num_frames"] = 1  # without it the script looks for a video, and it has written a picture
    if run.video is not None:
        record["vision_path"] = target.input(run.video)
    else:
        record["fps"] = number(sampling.fps)
    return record | {_name(control): _control(control, target) for control in run.active}


def _negative_prompt(text: str, target: LaunchFolder) -> dict[str, Any]:
    """The fields of a negative prompt, which may be a JSON object.

    The script's reader of `negative_prompt_file` gives the object without needless white space. Where the defaults
    of a mode have a negative prompt, as for videos, the script does not open the file. So the object is written as
    text too, as the script would have read it.
    """
    caption = json_object(text)
    if caption is None:
        return {"negative_prompt": text}
    path = target.folder / "inputs" / f"negative_{blake2b(text.encode(), digest_size=8).hexdigest()}.json"
    if path.resolve() not in target.inputs:
        write_text(path, text)
    return {"negative_prompt": json.dumps(caption), "negative_prompt_file": target.input(path)}


def _size(run: ResolvedRun) -> tuple[str, tuple[int, int]]:
    """The script's name of the run's size, and its aspect ratio."""
    wanted = run.sampling.resolution
    size = parsed(wanted)
    found = place_of(size, COSMOS3_SIZES) if size else None
    if found is None:
        raise PlanError(f"run {run.id}: resolution {wanted!r} is none of Cosmos 3's")
    return found


def _name(control: Control) -> str:
    """The control's name in a sample of Cosmos 3; controls that it does not have are refused before."""
    return CONTROLS[control.name].cosmos3 or control.name


def _control(control: Control, target: LaunchFolder) -> dict[str, Any]:
    record: dict[str, Any] = {"weight": control.weight}
    if control.video is not None:
        record["control_path"] = target.input(control.video)
    elif preset := CONTROLS[control.name].script_preset:
        record[preset] = control.preset
    return record


def _sample(run: ResolvedRun, target: LaunchFolder) -> Sample:
    own = target.outputs / run.id
    resolution, aspect = _size(run)
    width, height = COSMOS3_SIZES[resolution][aspect]
    fps = target.info(run.video).fps if run.video else run.sampling.fps
    suffix = ".jpg" if run.sampling.num_frames == 1 else ".mp4"
    controls: dict[str, Path] = {control.name: own / f"control_{_name(control)}{suffix}" for control in run.active}
    expected = VideoInfo(width, height, run.sampling.num_frames, fps)
    return Sample(run, run.id, own / f"vision{suffix}", None, controls, expected)
