"""The JSONL of Cosmos 3's transfer samples, every setting spelled out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cosmos_batch.controls import CONTROLS
from cosmos_batch.engines.nvidia.launch_files import Sample, There, Written
from cosmos_batch.engines.nvidia.launch_writers import SampleFiles, name_of, number
from cosmos_batch.engines.resolutions import COSMOS3_SIZES, nearest, parsed, place_of
from cosmos_batch.errors import PlanError
from cosmos_batch.formats.cosmos3 import SHIFT, chunk_frames, control_guidance
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.plan import Launch
from cosmos_batch.run import Control, ResolvedRun


def write_cosmos3(launch: Launch, folder: Path, *, there: There = str) -> Written:
    """Write a launch into `folder` as `batch_0001.jsonl`.

    Edge and blur videos that no run brings are left to the script, which makes them by
    preset, always the same. The aspect ratio is written, because the script takes 16:9 where it is left out.

    Raises PlanError for a launch that the script would not make as asked, MediaError if a video cannot be looked
    into, and StorageError if something cannot be written.
    """
    place = SampleFiles(folder.absolute(), name_of(launch), there)
    records = [_record(run, place) for run in launch.runs]
    lines = place.write_lines(".jsonl", records)
    named = there(lines)
    if "*" in named:
        raise PlanError(f"{named}: Cosmos 3 takes '*' in a file's name for a pattern; choose another folder")
    return Written(
        files=(lines,),
        arguments=("-i", named, "-o", there(place.outputs)),
        samples=tuple(_sample(run, place) for run in launch.runs),
        batch_size=1,
        inputs=tuple(place.inputs),
        outputs=place.outputs,
    )


def _record(run: ResolvedRun, place: SampleFiles) -> dict[str, Any]:
    sampling = run.sampling
    resolution, aspect = _size(run, place)
    record: dict[str, Any] = {
        "name": run.id,
        "prompt": run.prompt,
        "negative_prompt": sampling.negative_prompt,
        "seed": sampling.seed,
        "num_outputs": 1,
        "num_steps": sampling.num_steps,
        "guidance": sampling.guidance,
        "control_guidance": control_guidance(run.signature),
        "shift": SHIFT,
        "resolution": resolution,
        "aspect_ratio": "{},{}".format(*aspect),
        "max_frames": sampling.num_frames,
        "num_video_frames_per_chunk": chunk_frames(run.signature),
        "num_conditional_frames": 1,
        "num_first_chunk_conditional_frames": 0,
        "share_vision_temporal_positions": True,
        "emphasize_control_in_prompt": True,
        "show_control_condition": False,
        "show_input": False,
    }
    if run.video is not None:
        record["vision_path"] = place.input(run.video)
    else:
        record["fps"] = number(sampling.fps)
    return record | {_name(control): _control(control, place) for control in run.active}


def _size(run: ResolvedRun, place: SampleFiles) -> tuple[str, tuple[int, int]]:
    """The script's name of a size, and its aspect ratio."""
    wanted = run.sampling.resolution
    size = parsed(wanted)
    if size is None and wanted in COSMOS3_SIZES:
        first = run.video or next(control.video for control in run.active if control.video)
        size = nearest(COSMOS3_SIZES[wanted], place.facts(first))
    found = place_of(size, COSMOS3_SIZES) if size else None
    if found is None:
        raise PlanError(f"run {run.id}: resolution {wanted!r} is none of Cosmos 3's")
    return found


def _name(control: Control) -> str:
    """The control's name in a sample of Cosmos 3; controls that it does not have are refused before."""
    return CONTROLS[control.name].cosmos3 or control.name


def _control(control: Control, place: SampleFiles) -> dict[str, Any]:
    record: dict[str, Any] = {"weight": control.weight}
    if control.video is not None:
        record["control_path"] = place.input(control.video)
    elif preset := CONTROLS[control.name].script_preset:
        record[preset] = control.preset
    return record


def _sample(run: ResolvedRun, place: SampleFiles) -> Sample:
    own = place.outputs / run.id
    resolution, aspect = _size(run, place)
    width, height = COSMOS3_SIZES[resolution][aspect]
    fps = place.facts(run.video).fps if run.video else run.sampling.fps
    controls: dict[str, Path] = {control.name: own / f"control_{_name(control)}.mp4" for control in run.active}
    facts = VideoInfo(width, height, run.sampling.num_frames, fps)
    return Sample(run, run.id, own / "vision.mp4", None, controls, facts)
