"""Writes the JSONL of Transfer2.5's `examples/inference.py`: a call per control set, every setting written out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cosmos_batch.controls import CONTROLS, segmentation_prompt
from cosmos_batch.engines.nvidia.launch_files import LaunchFiles, LaunchFolder, Sample, Stage, launch_name
from cosmos_batch.engines.nvidia.transfer25.traits import CHUNK_FRAMES
from cosmos_batch.engines.resolutions import TRANSFER25_SIZES, chunk_length, kept_size, parsed, place_of
from cosmos_batch.errors import PlanError
from cosmos_batch.formats.guided import MASK, guided_settings
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.plan import Launch
from cosmos_batch.run import Control, ResolvedRun


def write_transfer25(launch: Launch, folder: Path, *, stage: Stage = str) -> LaunchFiles:
    """Write a launch into `folder` as `batch_0001.jsonl`.

    The runs must have one control set. Control videos that no run gives are left to the script,
    which makes edge and vis by preset, deterministically. Outputs keep the size of their input, to even numbers,
    unless a run says otherwise. A run of one frame is a picture, which the script writes as JPEG.

    Raises PlanError for a launch that the script would not make as asked, MediaError if an input cannot be
    probed, and StorageError if something cannot be written.
    """
    runs = launch.runs
    if len(sets := {run.signature for run in runs}) > 1:
        raise PlanError(
            f"launch {launch.index}: {len(sets)} control sets; Transfer2.5 can lose controls where samples of "
            "different sets share a call"
        )
    target = LaunchFolder(folder.absolute(), launch_name(launch), stage)
    names = _names(runs)
    records = [_record(run, name, target) for run, name in zip(runs, names, strict=True)]
    lines = target.write_lines(".jsonl", records)
    return LaunchFiles(
        files=(lines,),
        arguments=("-i", stage(lines), "-o", stage(target.outputs)),
        samples=tuple(_sample(run, name, target) for run, name in zip(runs, names, strict=True)),
        batch_size=1,
        inputs=tuple(target.inputs),
        outputs=target.outputs,
    )


def _names(runs: Sequence[ResolvedRun]) -> list[str]:
    """The runs' ids, but other names where an output would overwrite a control or mask video of another run."""
    ids = {run.id for run in runs}
    return [_unique_name(run.id, ids) for run in runs]


def _unique_name(own: str, ids: set[str]) -> str:
    name = own
    while any(own != other and name.startswith((f"{other}_control_", f"{other}_mask_")) for other in ids):
        name = f"run-{name}"
    return name if name == own or name not in ids else _unique_name(f"run-{name}", ids)


def _record(run: ResolvedRun, name: str, target: LaunchFolder) -> dict[str, Any]:
    sampling = run.sampling
    if run.video is None:
        raise PlanError(f"run {run.id}: Transfer2.5 needs an input video")
    return {
        "name": name,
        "prompt": run.prompt,
        "negative_prompt": sampling.negative_prompt,
        "video_path": target.input(run.video),
        "seed": sampling.seed,
        "guidance": int(sampling.guidance),
        "resolution": _resolution(run),
        "max_frames": sampling.num_frames,
        "num_steps": sampling.num_steps,
        "num_video_frames_per_chunk": chunk_length(sampling.num_frames, CHUNK_FRAMES),
        "num_conditional_frames": sampling.num_conditional_frames,
        "show_control_condition": False,
        "show_input": False,
        "keep_input_resolution": sampling.keep_input_resolution,
        **_guided_generation(run, target),
        **{control.name: _control(control, run, target) for control in run.active},
    }


def _guided_generation(run: ResolvedRun, target: LaunchFolder) -> dict[str, Any]:
    mask = {} if run.guided_mask is None else {MASK: target.input(run.guided_mask)}
    return mask | guided_settings(run)


def _resolution(run: ResolvedRun) -> str:
    """The script's name of a size; it chooses the aspect ratio itself."""
    wanted = run.sampling.resolution
    size = parsed(wanted)
    found = place_of(size, TRANSFER25_SIZES) if size else None
    if found is None:
        raise PlanError(f"run {run.id}: resolution {wanted!r} is none of Transfer2.5's")
    return found[0]


def _control(control: Control, run: ResolvedRun, target: LaunchFolder) -> dict[str, Any]:
    record: dict[str, Any] = {"control_weight": control.weight}
    if control.video is not None:
        record["control_path"] = target.input(control.video)
    elif preset := CONTROLS[control.name].script_preset:
        record[preset] = control.preset
    elif control.name == "seg":
        record["control_prompt"] = control.prompt or segmentation_prompt(run.prompt)
    if control.mask is not None:
        record["mask_path"] = target.input(control.mask)
    elif control.mask_prompt is not None:
        record["mask_prompt"] = control.mask_prompt
    return record


def _sample(run: ResolvedRun, name: str, target: LaunchFolder) -> Sample:
    out = target.outputs
    info, count = target.info(run.video or ""), run.sampling.num_frames
    network = parsed(run.sampling.resolution)
    size = kept_size(info) if run.sampling.keep_input_resolution or network is None else network
    suffix = "jpg" if count == 1 else "mp4"
    controls: dict[str, Path] = {
        control.name: out / f"{name}_control_{control.name}.{suffix}" for control in run.active
    }
    whole = VideoInfo(*size, count, float(int(info.fps)))
    return Sample(run, name, out / f"{name}.{suffix}", out / f"{name}.txt", controls, whole)
