"""Cosmos-Transfer2.5 specs and JSONL, with the defaults of NVIDIA's code filled in.

A setting that a run does not have is a problem unless it has its default. So is a key that NVIDIA's code silently
drops.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from cosmos_batch.controls import TRANSFER_CONTROLS, ControlName, segmentation_prompt
from cosmos_batch.errors import Problem
from cosmos_batch.formats.common import STOCK_NEGATIVE_PROMPT, PathText, PromptText, StrictModel, Text, only
from cosmos_batch.formats.guided import guided_generation, idle_settings
from cosmos_batch.formats.nvidia.prompt_files import prompt_of
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.records import Record
from cosmos_batch.formats.run_builder import RunDraft, RunInputs, SourceFile, filled_in
from cosmos_batch.formats.validate import FieldNames, validate
from cosmos_batch.run import (
    STEP_THRESHOLD,
    ConditionalFrames,
    Control,
    FrameCount,
    Label,
    Run,
    RunId,
    Seed,
    Steps,
    StepThreshold,
    Strength,
    Weight,
)

NAMES = FieldNames(
    video="video_path",
    weights=TRANSFER_CONTROLS,
    control_video="{}.control_path",
    id="name",
    control_mask="{}.mask_path",
    guided_mask="guided_generation_mask",
    renamed_settings={"num_frames": "max_frames"},
)

DEFAULT_RESOLUTION = "720"

_CONTEXT = "remove it: the multi-control model takes no context image"
_CHUNKS = "remove it: the engine chooses how chunks are cut"
_GLUED = "remove it: the input and the control videos are filed beside the output"


class _Branch(StrictModel):
    control_path: PathText | None = None
    control_weight: Annotated[Weight, Field(le=1)] = 1.0
    mask_path: PathText | None = None
    mask_prompt: Text | None = None


class _Edge(_Branch):
    preset_edge_threshold: Strength = "medium"


class _Vis(_Branch):
    preset_blur_strength: Strength = "medium"


class _Seg(_Branch):
    control_prompt: Text | None = None


class _Sample(StrictModel):
    name: RunId | None = None
    prompt: PromptText | None = None
    prompt_path: PathText | None = None
    negative_prompt: Text = STOCK_NEGATIVE_PROMPT
    video_path: PathText | None = None
    seed: Seed = 2025
    guidance: Annotated[float, Field(ge=0, le=7, multiple_of=1, description="a whole number from 0 to 7")] = 3.0
    resolution: Literal["1080", "1024", "720", "512", "480", "480p", "720p", "256"] | None = None
    max_frames: FrameCount | None = None
    num_steps: Steps = 35
    keep_input_resolution: bool | None = None  # null: true, the default of NVIDIA's code
    edge: _Edge | None = None
    vis: _Vis | None = None
    depth: _Branch | None = None
    seg: _Seg | None = None
    num_conditional_frames: ConditionalFrames | None = None
    guided_generation_mask: PathText | None = None
    guided_generation_step_threshold: StepThreshold | None = None
    guided_generation_foreground_labels: Annotated[list[Label], Field(min_length=1)] | None = None
    # Settings that a run does not have.
    sigma_max: Annotated[Any, only(None, "remove it: it has no effect in Transfer2.5")] = None
    num_video_frames_per_chunk: Annotated[Any, only(93, _CHUNKS, 1)] = 93
    context_frame_index: Annotated[Any, only(None, _CONTEXT)] = None
    image_context_path: Annotated[Any, only(None, _CONTEXT)] = None
    show_control_condition: Annotated[Any, only(False, _GLUED)] = False
    show_input: Annotated[Any, only(False, _GLUED)] = False


FIELDS = frozenset(_Sample.model_fields)
"""The keys of a sample."""


def read(record: Record, source: SourceFile, *, undecided: bool = False) -> Run | list[Problem]:
    """The run of a Transfer2.5 sample, or all its problems. `undecided`: it may as well be one of Cosmos 3."""
    sample, problems = validate(_Sample, record.value, record.location)
    if sample is None:
        return problems
    problems += _missing(record, undecided)
    problems += _contradictions(sample, record.location)
    source.warnings += _frames_left_out(sample, record.location)
    source.warnings += _without_effect(sample, record.location)
    source.filled = filled_in(frozenset(sample.model_fields_set))
    prompt, faults = prompt_of(sample.prompt, sample.prompt_path, record.location, source)
    problems += faults
    return source.build(_draft(sample, prompt, record, source), record.location, NAMES, problems)


def _draft(sample: _Sample, prompt: str | None, record: Record, source: SourceFile) -> RunDraft:
    branches, video = _branches(sample), sample.video_path
    inputs = RunInputs(
        video=None if video is None else source.paths.resolve(video),
        controls=tuple(_control(name, branch, prompt or "", source) for name, branch in branches.items()),
        files=[(name, path, source.paths) for name, path in _paths(sample, branches)],
        guided_generation=guided_generation(
            sample.guided_generation_mask,
            sample.guided_generation_step_threshold,
            sample.guided_generation_foreground_labels,
            source.paths,
        ),
    )
    sampling = source.pool.sampling(
        sample.num_steps,
        sample.guidance,
        None,
        sample.seed,
        None,  # NVIDIA's script writes at the input's rate
        1 if sample.num_video_frames_per_chunk == 1 else sample.max_frames,
        sample.resolution,
        sample.negative_prompt,
        sample.num_conditional_frames,
        sample.keep_input_resolution is not False,
    )
    number = record.number
    return RunDraft(id=sample.name or source.id_for(number), prompt=prompt, inputs=inputs, sampling=sampling)


def _branches(sample: _Sample) -> dict[ControlName, _Branch]:
    found: dict[ControlName, _Branch | None] = {
        "edge": sample.edge,
        "vis": sample.vis,
        "depth": sample.depth,
        "seg": sample.seg,
    }
    return {name: branch for name, branch in found.items() if branch}


def _control(name: ControlName, branch: _Branch, prompt: str, source: SourceFile) -> Control:
    resolve = source.paths.resolve
    preset: Strength = "medium"
    segment = None
    match branch:
        case _Edge():
            preset = branch.preset_edge_threshold
        case _Vis():
            preset = branch.preset_blur_strength
        case _Seg() if branch.control_path is None:
            segment = branch.control_prompt or segmentation_prompt(prompt)
    return source.pool.control(
        name,
        branch.control_weight,
        None if branch.control_path is None else resolve(branch.control_path),
        preset,
        prompt=segment,
        mask=None if branch.mask_path is None else resolve(branch.mask_path),
        mask_prompt=branch.mask_prompt or None,
    )


def _paths(sample: _Sample, branches: dict[ControlName, _Branch]) -> list[tuple[str, str]]:
    """The files that the sample uses, each with the field that names it."""
    named = [("video_path", sample.video_path), ("guided_generation_mask", sample.guided_generation_mask)]
    for name, branch in branches.items():
        if branch.control_weight:
            named += [(f"{name}.control_path", branch.control_path), (f"{name}.mask_path", branch.mask_path)]
    return [(name, path) for name, path in named if path is not None]


def _frames_left_out(sample: _Sample, location: Location) -> list[Problem]:
    """The warning about chunks of one frame, of which NVIDIA's code makes only the first."""
    if sample.num_video_frames_per_chunk != 1 or sample.max_frames in (None, 1):
        return []
    message = f"makes a picture of the first frame alone, and max_frames is {sample.max_frames}"
    remedy = "set max_frames to 1, or remove it for a video"
    return [location.warning("num_video_frames_per_chunk", message, remedy, 1)]


def _without_effect(sample: _Sample, location: Location) -> list[Problem]:
    """Warnings about settings of guided generation that NVIDIA's code ignores."""
    threshold = sample.guided_generation_step_threshold
    idle = idle_settings(
        sample.guided_generation_mask,
        None if threshold == STEP_THRESHOLD else threshold,
        sample.guided_generation_foreground_labels,
        location,
        "guided_generation_mask",
    )
    return [replace(problem, level="warning") for problem in idle]


def _missing(record: Record, undecided: bool) -> list[Problem]:
    video = "give the input video"
    if undecided:
        video += '; if this is a sample of Cosmos 3, say so by "model_mode": "video2video"'
    needed = {"name": "name the sample: its output is filed under it", "video_path": video}
    return [
        record.location.problem(key, "is missing", remedy)
        for key, remedy in needed.items()
        if record.value.get(key) is None
    ]


def _contradictions(sample: _Sample, location: Location) -> list[Problem]:
    problems = []
    for name, branch in _branches(sample).items():
        if branch.mask_path is not None and branch.mask_prompt:
            remedy = "keep one of mask_path and mask_prompt"
            problems.append(
                location.problem(f"{name}.mask_prompt", "is given beside a mask", remedy, branch.mask_prompt)
            )
    return problems
