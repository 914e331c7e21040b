"""Writes the two files of Transfer1's batch mode, and the control videos that the script would make at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cosmos_batch.controls import CONTROLS, Derivation, segmentation_prompt
from cosmos_batch.engines.nvidia.launch_files import (
    LaunchFiles,
    LaunchFolder,
    Sample,
    Stage,
    launch_name,
    make_folder,
    number,
)
from cosmos_batch.engines.nvidia.transfer1.order import mixes_weights, spread_prompts
from cosmos_batch.engines.nvidia.transfer1.spec import create_minimal_base_spec, to_cosmos_batch_inference_jsonl
from cosmos_batch.engines.nvidia.transfer1.traits import upscaled
from cosmos_batch.engines.nvidia.transfer1.weight_maps import control_to_map, write_constant_map
from cosmos_batch.errors import PlanError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.run import Control, ResolvedRun
from cosmos_batch.spans import file_or_span

# Settings that no run chooses, written out so that no default of the script can change them.
_FIXED: Mapping[str, Any] = {
    "num_input_frames": 1,
    "is_av_sample": False,
    "use_distilled": False,
    "upsample_prompt": False,
    "save_input_noise": False,
}


def write_transfer1(launch: Launch, folder: Path, *, cache: ControlCache, stage: Stage = str) -> LaunchFiles:
    """Write a launch into `folder`: `batch_0001_spec.json`, `batch_0001.jsonl`, and made files below `inputs/`.

    Edge and vis videos that no run gives are made at the input's own size, as the
    script itself does. Where the runs of a tensor batch differ in weights, each gets one weight as a map. Runs of
    one prompt are moved to different tensor batches where that is possible, so the samples may be in another
    order than the launch's runs.

    Raises PlanError for a launch that the script would not make as asked, MediaError if a control video cannot be
    made, and StorageError if something cannot be written.
    """
    _check_sizes(launch)
    target = LaunchFolder(folder.absolute(), launch_name(launch), stage)
    planned = spread_prompts(launch)
    runs = [_with_controls(run, target, cache) for run in planned.runs]
    spec = target.write_json("_spec.json", _spec(runs, target))
    lines = target.write_lines(".jsonl", _lines(planned.batches, runs, target))
    size = launch.batch_size
    files = ("--controlnet_specs", stage(spec), "--batch_input_path", stage(lines))
    rest = ("--batch_size", str(size), "--video_save_folder", stage(target.outputs))
    infos = [_expected(batch, run) for batch in planned.batches for run in batch.runs]
    return LaunchFiles(
        files=(spec, lines),
        arguments=files + rest,
        samples=tuple(
            _sample(index, run, made, info, target)
            for index, (run, made, info) in enumerate(zip(planned.runs, runs, infos, strict=True))
        ),
        batch_size=size,
        inputs=tuple(target.inputs),
        outputs=target.outputs,
    )


def _check_sizes(launch: Launch) -> None:
    """Raise PlanError unless all batches but the last are of one size: the script cuts its file by count."""
    sizes = [len(batch.runs) for batch in launch.batches]
    if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
        raise PlanError(
            f"launch {launch.index}: batches of {sizes}; Transfer1 cuts a file into batches of one size, "
            "of which only the last may be smaller"
        )


def _with_controls(run: ResolvedRun, target: LaunchFolder, cache: ControlCache) -> ResolvedRun:
    """The run with its active controls alone, each with all that the script would otherwise draw at random."""
    return replace(run, controls=tuple(_spelled_out(run, control, target, cache) for control in run.active))


def _spelled_out(run: ResolvedRun, control: Control, target: LaunchFolder, cache: ControlCache) -> Control:
    if control.video is not None:
        return replace(control, preset="medium", prompt=None)
    if control.name == "seg":
        return replace(control, prompt=control.prompt or segmentation_prompt(run.prompt))
    if CONTROLS[control.name].derivation is not Derivation.PIXELS:
        return control
    # Made here: Transfer1 draws the parameters at random (its control models default to `use_random=True`, and its
    # preprocessor does not say otherwise), so that a video would depend on those made before it.
    if run.video is None:
        raise PlanError(f"run {run.id}: it has neither a {control.name} video nor an input to make it from")
    info = target.info(run.video)
    count = run.sampling.num_frames
    made = cache.get_or_make(run.video, control, count=count, size=(info.width, info.height))
    return replace(control, video=str(target.keep(made)), preset="medium")


def _spec(runs: Sequence[ResolvedRun], target: LaunchFolder) -> dict[str, Any]:
    spec = create_minimal_base_spec(runs)
    return written_spec(spec, target.input(spec["input_video_path"]))


def written_spec(spec: Mapping[str, Any], input_video: str) -> dict[str, Any]:
    """A base spec as it is written: every switch of the script, whole numbers as such, weights of "0" as text.

    Beside a map, the script would read the number 0 as 1.
    """
    written: dict[str, Any] = {**_FIXED}
    for name, value in spec.items():
        if isinstance(value, dict):
            written[name] = {"control_weight": "0"}
        else:
            written[name] = number(value) if isinstance(value, float) else value
    return written | {"input_video_path": input_video}


def _lines(batches: Sequence[Batch], runs: Sequence[ResolvedRun], target: LaunchFolder) -> list[dict[str, Any]]:
    lines, start = to_cosmos_batch_inference_jsonl(runs), 0
    for batch in batches:
        if mixes_weights(batch.runs):
            for run, line in zip(batch.runs, lines[start:], strict=False):
                _map_one_weight(run, line["control_overrides"], target)
        start += len(batch.runs)
    for line in lines:
        if line["visual_input"] is not None:
            line["visual_input"] = target.input(line["visual_input"])
        for override in line["control_overrides"].values():
            _stage_files(override, target)
    return lines


def _map_one_weight(run: ResolvedRun, overrides: Mapping[str, dict[str, Any]], target: LaunchFolder) -> None:
    """Write one weight of a run as a map, unless it has one: the script then reads all of its weights as maps."""
    control = control_to_map(run)
    if control is None:
        return
    make_folder(target.folder / "inputs")
    written = write_constant_map(target.folder / "inputs", control.weight)
    overrides[control.name]["control_weight"] = str(written)


def _stage_files(override: dict[str, Any], target: LaunchFolder) -> None:
    for key in ("control_weight", "input_control"):
        value = override.get(key)
        if isinstance(value, str):
            override[key] = target.input(value)


def _expected(batch: Batch, run: ResolvedRun) -> VideoInfo:
    size = (batch.shape.width, batch.shape.height)
    width, height = upscaled(size) if run.job_type == "upscale" else size
    return VideoInfo(width, height, batch.shape.frames, run.sampling.fps)


def _sample(index: int, run: ResolvedRun, made: ResolvedRun, info: VideoInfo, target: LaunchFolder) -> Sample:
    """A run as a sample. Control videos that the script makes carry the rank of the process that saves: 0."""
    name = f"video_{index}"
    own = target.outputs / name
    controls: dict[str, Path] = {
        control.name: file_or_span(control.video) if control.video else own / f"{control.name}_input_control_0.mp4"
        for control in made.active
        if control.name != "upscale"
    }
    return Sample(run, name, own / "output.mp4", own / "prompt.txt", controls, info)
