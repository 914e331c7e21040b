"""The two files of Transfer1's batch mode, with everything made that the script would make by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cosmos_batch.controls import CONTROLS, Derivation, segmentation_prompt
from cosmos_batch.engines.nvidia.launch_files import Sample, There, Written
from cosmos_batch.engines.nvidia.launch_writers import SampleFiles, make_folder, name_of, number
from cosmos_batch.engines.nvidia.transfer1.order import mixes_weights, spread
from cosmos_batch.engines.nvidia.transfer1.spec import create_minimal_base_spec, to_cosmos_batch_inference_jsonl
from cosmos_batch.engines.nvidia.transfer1.traits import upscaled
from cosmos_batch.engines.nvidia.transfer1.weight_maps import write_constant_map
from cosmos_batch.errors import PlanError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.batch_keys import is_map
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.run import Control, ResolvedRun

# Not for a run to choose; spelled out, so that no default of the script can change them.
_FIXED: Mapping[str, Any] = {
    "num_input_frames": 1,
    "is_av_sample": False,
    "use_distilled": False,
    "upsample_prompt": False,
    "save_input_noise": False,
}


def write_transfer1(launch: Launch, folder: Path, *, cache: ControlCache, there: There = str) -> Written:
    """Write a launch into `folder`: `batch_0001_spec.json`, `batch_0001.jsonl`, and made files below `inputs/`.

    Edge and vis videos that no run brings are made at the input's own size, as the
    script itself does. Where the runs of a tensor batch differ in weights, each brings one of its own as a map.
    Runs of one prompt are moved to different tensor batches where that is possible, so the samples may be in
    another order than the launch's runs.

    Raises PlanError for a launch that the script would not make as asked, MediaError if a control video cannot be
    made, and StorageError if something cannot be written.
    """
    _check_sizes(launch)
    place = SampleFiles(folder.absolute(), name_of(launch), there)
    planned = spread(launch)
    runs = [_with_controls(run, place, cache) for run in planned.runs]
    spec = place.write_json("_spec.json", _spec(runs, place))
    lines = place.write_lines(".jsonl", _lines(planned.batches, runs, place))
    size = launch.batch_size
    files = ("--controlnet_specs", there(spec), "--batch_input_path", there(lines))
    rest = ("--batch_size", str(size), "--video_save_folder", there(place.outputs))
    shapes = [_facts(batch, run) for batch in planned.batches for run in batch.runs]
    return Written(
        files=(spec, lines),
        arguments=files + rest,
        samples=tuple(
            _sample(index, run, made, facts, place)
            for index, (run, made, facts) in enumerate(zip(planned.runs, runs, shapes, strict=True))
        ),
        batch_size=size,
        inputs=tuple(place.inputs),
        outputs=place.outputs,
    )


def _check_sizes(launch: Launch) -> None:
    """The script cuts its file into tensor batches by counting, so only the last may be smaller."""
    sizes = [len(batch.runs) for batch in launch.batches]
    if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
        raise PlanError(
            f"launch {launch.index}: batches of {sizes}; Transfer1 cuts a file into batches of one size, "
            "of which only the last may be smaller"
        )


def _with_controls(run: ResolvedRun, place: SampleFiles, cache: ControlCache) -> ResolvedRun:
    """The run with every control spelled out that counts: what the script would draw at random is made."""
    return replace(run, controls=tuple(_spelled_out(run, control, place, cache) for control in run.active))


def _spelled_out(run: ResolvedRun, control: Control, place: SampleFiles, cache: ControlCache) -> Control:
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
    facts = place.facts(run.video)
    count = run.sampling.num_frames or facts.frames
    made = cache.get_or_make(run.video, control, count=count, size=(facts.width, facts.height))
    return replace(control, video=str(place.keep(made)), preset="medium")


def _spec(runs: Sequence[ResolvedRun], place: SampleFiles) -> dict[str, Any]:
    """The base spec. Its controls stand at "0", the text: beside a map, the number 0 would be read as 1."""
    spec = create_minimal_base_spec(runs)
    for name, value in spec.items():
        if isinstance(value, dict):
            spec[name] = {"control_weight": "0"}
        elif isinstance(value, float):
            spec[name] = number(value)
    return {**_FIXED, **spec, "input_video_path": place.input(spec["input_video_path"])}


def _lines(batches: Sequence[Batch], runs: Sequence[ResolvedRun], place: SampleFiles) -> list[dict[str, Any]]:
    lines, start = to_cosmos_batch_inference_jsonl(runs), 0
    for batch in batches:
        if mixes_weights(batch.runs):
            for run, line in zip(batch.runs, lines[start:], strict=False):
                _map_one_weight(run, line["control_overrides"], place)
        start += len(batch.runs)
    for line in lines:
        if line["visual_input"] is not None:
            line["visual_input"] = place.input(line["visual_input"])
        for override in line["control_overrides"].values():
            _name_there(override, place)
    return lines


def _map_one_weight(run: ResolvedRun, overrides: Mapping[str, dict[str, Any]], place: SampleFiles) -> None:
    """One map is enough to have the script read all of a sample's weights as maps; some bring one of their own."""
    if any(is_map(control) for control in run.active):
        return
    override = next(iter(overrides.values()))
    make_folder(place.folder / "inputs")
    override["control_weight"] = str(write_constant_map(place.folder / "inputs", override["control_weight"]))


def _name_there(override: dict[str, Any], place: SampleFiles) -> None:
    for key in ("control_weight", "input_control"):
        value = override.get(key)
        if isinstance(value, str):
            override[key] = place.input(value)


def _facts(batch: Batch, run: ResolvedRun) -> VideoInfo:
    size = (batch.shape.width, batch.shape.height)
    width, height = upscaled(size) if run.job_type == "upscale" else size
    return VideoInfo(width, height, batch.shape.frames, run.sampling.fps)


def _sample(index: int, run: ResolvedRun, made: ResolvedRun, facts: VideoInfo, place: SampleFiles) -> Sample:
    """Videos that the script makes carry the rank of the process that made them, and the first one saves."""
    name = f"video_{index}"
    own = place.outputs / name
    controls: dict[str, Path] = {
        control.name: Path(control.video) if control.video else own / f"{control.name}_input_control_0.mp4"
        for control in made.active
        if control.name != "upscale"
    }
    return Sample(run, name, own / "output.mp4", own / "prompt.txt", controls, facts)
