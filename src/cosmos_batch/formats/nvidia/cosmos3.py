"""Cosmos 3 transfer samples, with the defaults of NVIDIA's cosmos-framework filled in.

A setting that a run does not have is a problem unless it has Cosmos 3's own value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from cosmos_batch.controls import CONTROLS, ControlName, Derivation
from cosmos_batch.errors import Problem
from cosmos_batch.formats.common import PathText, PromptText, StrictModel, Text, only
from cosmos_batch.formats.nvidia.prompt_files import caption_of, negative_caption_of
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.records import Record
from cosmos_batch.formats.run_builder import RunDraft, RunInputs, SourceFile, filled_in
from cosmos_batch.formats.validate import FieldNames, validate
from cosmos_batch.run import (
    MAX_FPS,
    Control,
    Cosmos3Settings,
    FrameCount,
    Run,
    RunId,
    Seed,
    Steps,
    Strength,
    Weight,
)

_HINTS: Mapping[str, ControlName] = {
    control.cosmos3: control.name for control in CONTROLS.values() if control.cosmos3
}
NAMES = FieldNames(
    video="vision_path",
    weights=tuple(_HINTS),
    control_video="{}.control_path",
    id="name",
    renamed={control: hint for hint, control in _HINTS.items()},
    renamed_settings={"num_frames": "max_frames"},
)

SHIFT = 10.0
"""The sampler's shift of every transfer: `_TRANSFER_DEFAULTS` and defaults/video2video of cosmos-framework."""

SIZES = {
    "256": ((320, 192), (320, 256), (256, 256)),
    "480": ((832, 480), (736, 544), (640, 640)),
    "720": ((1280, 720), (1104, 832), (960, 960)),
    "768": ((1360, 768), (1184, 880), (1024, 1024)),
}
"""Width and height of 16:9, 4:3 and 1:1, by resolution; upright ones are turned. From `VIDEO_RES_SIZE_INFO` in
cosmos_framework/data/generator/utils.py of cosmos-framework."""
DEFAULT_RESOLUTION = "720"
NEGATIVE_METADATA = "same"
"""Cosmos 3's own treatment of the negative prompt: it appends the length and the size of the video to it."""
_CHUNKS = "remove it: the engine chooses how chunks are cut"
_TUNED = "remove it: a run cannot change what Cosmos 3 is tuned to"
_GLUED = "remove it: the input and the control videos are filed beside the output"
_OTHER = "remove it: only transfers are read"


def guidance(controls: Sequence[str]) -> float:
    """Cosmos 3's own guidance for a control set (`_TRANSFER_DEFAULTS`; several controls: defaults/video2video)."""
    if len(controls) > 1:
        return 6.0
    return 1.0 if "wsm" in controls else 3.0


def control_guidance(controls: Sequence[str]) -> float:
    """Cosmos 3's own guidance towards the controls of a set, from the same places; 1 is none."""
    if len(controls) > 1:
        return 1.0
    return {"wsm": 3.0, "seg": 2.0}.get(controls[0], 1.5)


def chunk_frames(controls: Sequence[str]) -> int:
    """Frames of a chunk of Cosmos 3 with a control set."""
    return 101 if tuple(controls) == ("wsm",) else 93


class _Branch(StrictModel):
    control_path: PathText | None = None
    weight: Weight | None = None


class _Edge(_Branch):
    preset_edge_threshold: Strength | None = None


class _Blur(_Branch):
    preset_blur_strength: Strength | None = None


class _Sample(StrictModel):
    name: RunId | None = None
    prompt: PromptText | None = None
    prompt_path: PathText | None = None
    negative_prompt: Text | None = None
    vision_path: PathText | None = None
    seed: Seed | None = None
    num_steps: Steps | None = None
    guidance: Annotated[float, Field(ge=0, le=7)] | None = None
    fps: Annotated[int, Field(ge=1, le=MAX_FPS)] | None = None
    max_frames: FrameCount | None = None
    resolution: Literal["256", "480", "720", "768"] | None = None
    aspect_ratio: Literal["16,9", "4,3", "1,1", "3,4", "9,16"] | None = None
    edge: _Edge | None = None
    blur: _Blur | None = None
    depth: _Branch | None = None
    seg: _Branch | None = None
    wsm: _Branch | None = None
    negative_prompt_file: PathText | None = None
    negative_metadata_mode: Literal["none", "same", "inverse"] | None = None
    negative_prompt_keep_metadata: bool | None = None
    num_frames: Annotated[int, Field(ge=1)] | None = None  # Cosmos 3 takes the length of the first control
    num_video_frames_per_chunk: FrameCount | None = None
    model_mode: Literal["video2video", "text2video", "image2video", "image2image"] | None = None
    # Settings that a run does not have. Those without a value here depend on the control set.
    control_guidance: float | None = None
    shift: Annotated[Any, only(SHIFT, _TUNED)] = None
    control_guidance_interval: Annotated[Any, only(None, _TUNED)] = None
    guidance_interval: Annotated[Any, only(None, _TUNED)] = None
    normalize_cfg: Annotated[Any, only(False, _TUNED)] = None
    num_conditional_frames: Annotated[Any, only(1, _CHUNKS)] = None
    num_first_chunk_conditional_frames: Annotated[Any, only(0, _CHUNKS)] = None
    share_vision_temporal_positions: Annotated[Any, only(True, _TUNED)] = None
    emphasize_control_in_prompt: Annotated[Any, only(True, _TUNED)] = None
    show_control_condition: Annotated[Any, only(False, _GLUED)] = None
    show_input: Annotated[Any, only(False, _GLUED)] = None
    num_outputs: Annotated[Any, only(1, "give a sample for each output, with a seed of its own")] = None
    enable_sound: Annotated[Any, only(False, "remove it: videos have no sound")] = None


FIELDS = frozenset(_Sample.model_fields)
"""The keys of a sample."""


def _given(sample: _Sample) -> Iterator[str]:
    """The settings of a run that a sample gives a value, by their names in a run."""
    if sample.num_steps is not None:
        yield "num_steps"
    if sample.guidance is not None:
        yield "guidance"
    if sample.negative_prompt is not None or sample.negative_prompt_file is not None:
        yield "negative_prompt"


def read(record: Record, source: SourceFile) -> Run | list[Problem]:
    """The run of a Cosmos 3 transfer sample, or all its problems."""
    sample, problems = validate(_Sample, record.value, record.location)
    if sample is None:
        return problems
    branches = _branches(sample)
    problems += _contradictions(sample, branches, record.location)
    prompt, faults = caption_of(sample.prompt, sample.prompt_path, record.location, source)
    negative, more = negative_caption_of(
        sample.negative_prompt, sample.negative_prompt_file, record.location, source
    )
    problems += [*faults, *more]
    source.filled = filled_in(frozenset(_given(sample)))
    draft = RunDraft(
        id=sample.name or _name_for(record, source),
        prompt=prompt,
        inputs=_inputs(sample, branches, source),
        sampling=source.pool.sampling(
            sample.num_steps,
            guidance([_HINTS[hint] for hint in branches]) if sample.guidance is None else sample.guidance,
            None,
            sample.seed,
            _fps(sample, branches),
            1 if _is_picture(sample) else sample.max_frames,
            _resolution(sample),
            negative,
        ),
        cosmos3=_own_settings(sample, branches),
    )
    return source.build(draft, record.location, NAMES, problems)


def _is_picture(sample: _Sample) -> bool:
    """Whether a sample is for a single picture."""
    return sample.model_mode == "image2image" or sample.num_frames == 1


def _fps(sample: _Sample, branches: Mapping[str, _Branch]) -> float | None:
    """The rate of the output: that of the input video, else the sample's, else Cosmos 3's own."""
    if sample.vision_path is not None:
        return None
    own = 10.0 if tuple(branches) == ("wsm",) else 24.0
    return own if sample.fps is None else float(sample.fps)


def _own_settings(sample: _Sample, branches: Mapping[str, _Branch]) -> Cosmos3Settings | None:
    """The settings that no other model has, unless all are Cosmos 3's own."""
    mode = sample.negative_metadata_mode or "none"
    if mode == "none" and sample.negative_prompt_keep_metadata is not False:
        mode = "same"  # Cosmos 3 keeps the metadata by default
    chunk = sample.num_video_frames_per_chunk
    if chunk == chunk_frames([_HINTS[hint] for hint in branches]):
        chunk = None
    settings = Cosmos3Settings(chunk_frames=chunk, negative_metadata=None if mode == NEGATIVE_METADATA else mode)
    return None if settings == Cosmos3Settings() else settings


def _name_for(record: Record, source: SourceFile) -> str:
    """The name that Cosmos 3 gives a sample without one: by the file, with the line counted from 0."""
    return source.stem if record.number is None else f"{source.stem}_{record.number - 1}"


def _branches(sample: _Sample) -> dict[str, _Branch]:
    found: dict[str, _Branch | None] = {hint: getattr(sample, hint) for hint in _HINTS}
    return {hint: branch for hint, branch in found.items() if branch}


def _inputs(sample: _Sample, branches: Mapping[str, _Branch], source: SourceFile) -> RunInputs:
    weights = _weights(branches)
    named = [("vision_path", sample.vision_path)]
    named += [(f"{hint}.control_path", branch.control_path) for hint, branch in branches.items()]
    return RunInputs(
        video=None if sample.vision_path is None else source.paths.resolve(sample.vision_path),
        controls=tuple(_control(hint, branch, weights[hint], source) for hint, branch in branches.items()),
        files=[(name, path, source.paths) for name, path in named if path is not None],
    )


def _weights(branches: Mapping[str, _Branch]) -> dict[str, float]:
    """The weights as Cosmos 3 uses them: divided by their sum."""
    given = {hint: 1.0 if branch.weight is None else branch.weight for hint, branch in branches.items()}
    if (largest := max(given.values(), default=0.0)) > 1e300:  # their sum might not be a number
        given = {hint: weight / largest for hint, weight in given.items()}
    total = sum(given.values())
    if not total or abs(total - 1) < 1e-6:
        return given
    return {hint: weight / total for hint, weight in given.items()}


def _control(hint: str, branch: _Branch, weight: float, source: SourceFile) -> Control:
    preset: Strength | None = None
    match branch:
        case _Edge():
            preset = branch.preset_edge_threshold
        case _Blur():
            preset = branch.preset_blur_strength
    path = branch.control_path
    video = None if path is None else source.paths.resolve(path)
    return source.pool.control(_HINTS[hint], weight, video, preset or "medium")


def _resolution(sample: _Sample) -> str | None:
    """The size of a sample: 16:9 where there is an input video and no aspect ratio, regardless of the input.

    Without an input video it is that of the resolution for the first control's shape; with neither resolution nor
    aspect ratio, the model's own.
    """
    if sample.aspect_ratio is None and (sample.vision_path is None or sample.resolution is None):
        return sample.resolution
    wide, less_wide, square = SIZES[sample.resolution or DEFAULT_RESOLUTION]
    upright = sample.aspect_ratio in ("3,4", "9,16")
    size = {"4,3": less_wide, "3,4": less_wide, "1,1": square}.get(sample.aspect_ratio or "", wide)
    width, height = reversed(size) if upright else size
    return f"{width}x{height}"


def _contradictions(sample: _Sample, branches: Mapping[str, _Branch], location: Location) -> Iterator[Problem]:
    for hint, branch in branches.items():
        if CONTROLS[_HINTS[hint]].derivation is not Derivation.PIXELS and branch.control_path is None:
            remedy = f"give the {hint} video: Cosmos 3 does not make it"
            yield location.problem(f"{hint}.control_path", "is missing", remedy)
    controls = [_HINTS[hint] for hint in branches]
    if not controls:
        return
    own = control_guidance(controls)
    if sample.control_guidance not in (None, own):
        remedy = f"remove it: Cosmos 3 is tuned to {own:g} here, and a run cannot change that"
        yield location.problem("control_guidance", "is not supported", remedy, sample.control_guidance)
