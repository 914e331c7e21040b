"""The JSONL of Transfer2.5's `examples/inference.py`: one call per control set, every setting spelled out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cosmos_batch.controls import CONTROLS, segmentation_prompt
from cosmos_batch.engines.nvidia.launch_files import Sample, There, Written
from cosmos_batch.engines.nvidia.launch_writers import SampleFiles, name_of
from cosmos_batch.engines.resolutions import TRANSFER25_SIZES, parsed, place_of
from cosmos_batch.errors import PlanError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.plan import Launch
from cosmos_batch.run import Control, ResolvedRun


def write_transfer25(launch: Launch, folder: Path, *, there: There = str) -> Written:
    """Write a launch into `folder` as `batch_0001.jsonl`.

    The runs must have one control set. Control videos that no run brings are left to the script,
    which makes edge and vis by preset, always the same. Outputs keep the size of their input, to even numbers.

    Raises PlanError for a launch that the script would not make as asked, MediaError if an input cannot be looked
    into, and StorageError if something cannot be written.
    """
    runs = launch.runs
    if len(sets := {run.signature for run in runs}) > 1:
        raise PlanError(
            f"launch {launch.index}: {len(sets)} control sets; Transfer2.5 can lose controls where samples of "
            "different sets share a call"
        )
    place = SampleFiles(folder.absolute(), name_of(launch), there)
    names = _names(runs)
    records = [_record(run, name, place) for run, name in zip(runs, names, strict=True)]
    lines = place.write_lines(".jsonl", records)
    return Written(
        files=(lines,),
        arguments=("-i", there(lines), "-o", there(place.outputs)),
        samples=tuple(_sample(run, name, place) for run, name in zip(runs, names, strict=True)),
        batch_size=1,
        inputs=tuple(place.inputs),
        outputs=place.outputs,
    )


def _names(runs: Sequence[ResolvedRun]) -> list[str]:
    """The runs' ids, but for those whose outputs would fall upon the control or mask videos of another run."""
    ids = {run.id for run in runs}
    return [_unlike(run.id, ids) for run in runs]


def _unlike(own: str, ids: set[str]) -> str:
    name = own
    while any(own != other and name.startswith((f"{other}_control_", f"{other}_mask_")) for other in ids):
        name = f"run-{name}"
    return name if name == own or name not in ids else _unlike(f"run-{name}", ids)


def _record(run: ResolvedRun, name: str, place: SampleFiles) -> dict[str, Any]:
    sampling = run.sampling
    if run.video is None:
        raise PlanError(f"run {run.id}: Transfer2.5 needs an input video")
    return {
        "name": name,
        "prompt": run.prompt,
        "negative_prompt": sampling.negative_prompt,
        "video_path": place.input(run.video),
        "seed": sampling.seed,
        "guidance": int(sampling.guidance),
        "resolution": _resolution(run),
        "max_frames": sampling.num_frames,
        "num_steps": sampling.num_steps,
        "num_video_frames_per_chunk": 93,
        "num_conditional_frames": 1,
        "show_control_condition": False,
        "show_input": False,
        "keep_input_resolution": True,
        **{control.name: _control(control, run, place) for control in run.active},
    }


def _resolution(run: ResolvedRun) -> str:
    """The script's name of a size; it chooses the aspect ratio itself."""
    wanted = run.sampling.resolution
    size = parsed(wanted)
    found = place_of(size, TRANSFER25_SIZES) if size else None
    if size and not found:
        raise PlanError(f"run {run.id}: resolution {wanted!r} is none of Transfer2.5's")
    return found[0] if found else wanted


def _control(control: Control, run: ResolvedRun, place: SampleFiles) -> dict[str, Any]:
    record: dict[str, Any] = {"control_weight": control.weight}
    if control.video is not None:
        record["control_path"] = place.input(control.video)
    elif preset := CONTROLS[control.name].script_preset:
        record[preset] = control.preset
    elif control.name == "seg":
        record["control_prompt"] = control.prompt or segmentation_prompt(run.prompt)
    if control.mask is not None:
        record["mask_path"] = place.input(control.mask)
    elif control.mask_prompt is not None:
        record["mask_prompt"] = control.mask_prompt
    return record


def _sample(run: ResolvedRun, name: str, place: SampleFiles) -> Sample:
    out = place.outputs
    facts = place.facts(run.video or "")
    whole = VideoInfo(facts.width // 2 * 2, facts.height // 2 * 2, run.sampling.num_frames, float(int(facts.fps)))
    controls: dict[str, Path] = {
        control.name: out / f"{name}_control_{control.name}.mp4" for control in run.active
    }
    return Sample(run, name, out / f"{name}.mp4", out / f"{name}.txt", controls, whole)
