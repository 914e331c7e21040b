"""Native runs: `{"id", "prompt", "inputs", "execution_config": {"weights", ...}, ...}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, JsonValue, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from cosmos_batch.controls import CONTROLS, UPSCALE_WEIGHT, ControlName
from cosmos_batch.errors import Problem
from cosmos_batch.formats.acceptance import acceptance_of, request_fields, unmeasurable
from cosmos_batch.formats.common import STOCK_PROMPT, Metadata, PromptText, StrictModel, Tags, Text, annotations_of
from cosmos_batch.formats.guided import MASK, guided_generation, guided_settings, idle_settings
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.records import Record, keys_are_unique
from cosmos_batch.formats.run_builder import RunDraft, RunInputs, SourceFile, ValuePool
from cosmos_batch.formats.span_input import InputText
from cosmos_batch.formats.validate import FieldNames, validate
from cosmos_batch.run import (
    Acceptance,
    Annotations,
    Attempts,
    ConditionalFrames,
    Control,
    Fps,
    FrameCount,
    Guidance,
    JobType,
    Label,
    Priority,
    Resolution,
    Run,
    RunId,
    Sampling,
    Seed,
    SeedStep,
    Sigma,
    Steps,
    StepThreshold,
    Strength,
    SweepName,
    Weight,
)
from cosmos_batch.spans import with_file

NAMES = FieldNames(
    video="inputs.video",
    weights=("execution_config.weights",),
    control_video="inputs.{}",
    control_mask="inputs.{}_mask",
    guided_mask=f"inputs.{MASK}",
    keep_input_resolution="execution_config.keep_input_resolution",
    settings="execution_config.{}",
    renamed_settings={"negative_prompt": "negative_prompt"},
)


def _priority(value: object) -> object:
    """A named priority as its number."""
    if not isinstance(value, str):
        return value
    try:
        return Priority[value.upper()].value
    except KeyError as error:
        raise PydanticCustomError("literal_error", "is not a known priority") from error


_MaskName = Literal[
    "edge_mask",
    "vis_mask",
    "depth_mask",
    "seg_mask",
    "keypoint_mask",
    "hdmap_mask",
    "lidar_mask",
    "upscale_mask",
    "wsm_mask",
]
_InputName = Literal[ControlName, _MaskName, "video", "guided_generation_mask"]
_Things = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"\S")]

Accept = Annotated[
    dict[str, JsonValue], Field(description='an object of scores with comparisons: {"edge_f1": ">0.5"}')
]
PriorityValue = Annotated[
    int,
    BeforeValidator(_priority),
    Field(ge=-(2**31), lt=2**31, description="a whole number, or low, normal, high or urgent"),
]


class _Config(StrictModel):
    weights: dict[ControlName, Annotated[Weight, Field(le=1)]] | None = None
    num_steps: Steps | None = None
    guidance: Guidance | None = None
    sigma_max: Sigma | None = None
    seed: Seed | None = None
    fps: Fps | None = None
    num_frames: FrameCount | None = None
    resolution: Resolution | None = None
    keep_input_resolution: bool | None = None
    negative_prompt: Text | None = None
    blur_strength: Strength | None = None
    canny_threshold: Strength | None = None
    num_conditional_frames: ConditionalFrames | None = None
    guided_generation_step_threshold: StepThreshold | None = None
    guided_generation_foreground_labels: Annotated[list[Label], Field(min_length=1)] | None = None
    mask_prompts: dict[ControlName, _Things | None] | None = None
    control_prompts: dict[ControlName, _Things | None] | None = None


_NO_CONFIG = _Config()
_MASK_NAMES: dict[ControlName, _MaskName] = dict(zip(get_args(ControlName), get_args(_MaskName), strict=True))
_CONTROL_OF: dict[str, ControlName] = {
    name: control for control, mask in _MASK_NAMES.items() for name in (control, mask)
}
_JOB_TYPES: dict[str, JobType] = {name: name for name in get_args(JobType)}


class _Record(StrictModel):
    id: RunId | None = None
    prompt: PromptText | None = None
    negative_prompt: Text | None = None
    inputs: dict[_InputName, InputText | None] | None = None
    execution_config: _Config | None = None
    priority: PriorityValue | None = None
    job_type: Literal["inference", "batch_inference", "upscale", "distilled"] | None = None
    sweep: SweepName | None = None
    tags: Tags | None = None
    metadata: Metadata | None = None
    accept: Accept | None = None
    attempts: Attempts | None = None
    seed_step: SeedStep | None = None


def mask_name(control: ControlName) -> str:
    """The input of a native run that is the mask of a control."""
    return _MASK_NAMES[control]


def control_prompts(run: Run) -> dict[str, dict[ControlName, str]]:
    """The prompts of a run's controls and masks, as the settings of a native run; absent where there are none."""
    made: dict[str, dict[ControlName, str]] = {"mask_prompts": {}, "control_prompts": {}}
    for control in run.controls:
        if control.mask_prompt and control.mask is None:
            made["mask_prompts"][control.name] = control.mask_prompt
        if control.prompt and control.name == "seg" and control.video is None:
            made["control_prompts"][control.name] = control.prompt
    return {name: prompts for name, prompts in made.items() if prompts}


def read(record: Record, source: SourceFile) -> Run | list[Problem]:
    """The run of a native record, or all its problems."""
    model, problems = validate(_Record, record.value, record.location)
    if model is None:
        return problems
    return _build(model, record.number, record.location, source, problems)


def read_fast(raw: bytes, location: Location, source: SourceFile) -> Run | None:
    """The run of a line of JSON, in a third of the time of `read`; None where only `read` can decide."""
    try:
        model = _Record.model_validate_json(raw)
    except ValidationError:
        return None
    config = model.execution_config or _NO_CONFIG
    keys = len(model.model_fields_set) + len(config.model_fields_set)
    keys += len(model.inputs or ()) + len(config.weights or ()) + len(model.tags or ()) + len(model.accept or ())
    keys += len(config.mask_prompts or ()) + len(config.control_prompts or ())
    if model.metadata:
        return None  # its keys are not counted
    made = _build(model, location.line, location, source, []) if keys_are_unique(raw, keys) else None
    return made if isinstance(made, Run) else None


def field_problems(record: Mapping[str, object], location: Location) -> list[Problem]:
    """The problems of single fields of a part of a record, without the rules between fields."""
    return validate(_Record, record, location)[1]


def read_sampling(settings: Mapping[str, object], location: Location, pool: ValuePool) -> Sampling | list[Problem]:
    """The sampling settings of an `execution_config`, or all their problems."""
    model, problems = validate(_Record, {"execution_config": dict(settings)}, location)
    if problems or model is None:
        return problems
    return _sampling(model, model.execution_config or _NO_CONFIG, pool)


def read_annotations(
    sweep: object, tags: object, metadata: object, location: Location
) -> Annotations | list[Problem]:
    """The annotations of these fields, or all their problems."""
    model, problems = validate(_Record, {"sweep": sweep, "tags": tags, "metadata": metadata}, location)
    if problems or model is None:
        return problems
    return annotations_of(model.sweep, model.tags, model.metadata) or Annotations()


def _build(
    model: _Record, number: int | None, location: Location, source: SourceFile, problems: list[Problem]
) -> Run | list[Problem]:
    config = model.execution_config or _NO_CONFIG
    problems += _contradictions(model, config, location)
    rule, faults = acceptance_of(model.accept, model.attempts, model.seed_step, location, source.score_names)
    draft = _draft(model, config, number, source, rule)
    if rule is not None:
        faults += unmeasurable(rule, draft.inputs.video, draft.inputs.controls, location)
    known = {problem.field for problem in problems}
    problems += [fault for fault in faults if fault.field not in known]
    return source.build(draft, location, NAMES, problems)


def _draft(
    model: _Record, config: _Config, number: int | None, source: SourceFile, rule: Acceptance | None
) -> RunDraft:
    inputs, weights, job = model.inputs or {}, config.weights or {}, model.job_type
    labels = config.guided_generation_foreground_labels
    own = (config.guided_generation_step_threshold, tuple(labels) if labels else None)
    key = (
        *weights.items(),
        *inputs.items(),
        config.blur_strength,
        config.canny_threshold,
        job,
        own,
        *_prompts(config),
    )
    shared = source.shared_inputs.get(key) or source.shared_inputs.put(key, _inputs(model, config, source))
    upscale = shared.job_type == "upscale"
    return RunDraft(
        id=source.id_for(number) if model.id is None else model.id,
        prompt=STOCK_PROMPT if upscale and model.prompt is None else model.prompt,
        inputs=shared,
        sampling=_sampling(model, config, source.pool),
        priority=Priority.NORMAL if model.priority is None else model.priority,
        annotations=annotations_of(model.sweep, model.tags, model.metadata),
        acceptance=None if rule is None else source.pool.rule(rule),
    )


def _prompts(config: _Config) -> tuple[tuple[tuple[str, str | None], ...], ...]:
    """The prompts of masks and of controls, as part of a key."""
    return tuple(tuple((each or {}).items()) for each in (config.mask_prompts, config.control_prompts))


def _inputs(model: _Record, config: _Config, source: SourceFile) -> RunInputs:
    upscale = model.job_type == "upscale"
    inputs, weights = model.inputs or {}, config.weights or {}
    if upscale and "upscale" not in weights:
        weights = {**weights, "upscale": UPSCALE_WEIGHT}
    video = inputs.get("video")
    return RunInputs(
        video=None if video is None else source.paths.resolve(video),
        controls=tuple(
            _control(name, weight, inputs.get(name), inputs.get(_MASK_NAMES[name]), config, source)
            for name, weight in weights.items()
        ),
        files=[
            (f"inputs.{name}", path, source.paths)
            for name, path in inputs.items()
            if path is not None and (name in ("video", MASK) or weights.get(_CONTROL_OF[name]))
        ],
        guided_generation=guided_generation(
            inputs.get(MASK),
            config.guided_generation_step_threshold,
            config.guided_generation_foreground_labels,
            source.paths,
        ),
        job_type=_JOB_TYPES.get(model.job_type or "", "inference"),
    )


def _control(
    name: ControlName,
    weight: float,
    video: str | None,
    mask: str | None,
    config: _Config,
    source: SourceFile,
) -> Control:
    setting = CONTROLS[name].preset
    preset: Strength | None = getattr(config, setting) if setting else None
    return source.pool.control(
        name,
        weight,
        None if video is None else source.paths.resolve(video),
        preset or "medium",
        prompt=(config.control_prompts or {}).get(name),
        mask=None if mask is None else source.paths.resolve(mask),
        mask_prompt=(config.mask_prompts or {}).get(name),
    )


def _sampling(model: _Record, config: _Config, pool: ValuePool) -> Sampling:
    negative = config.negative_prompt if model.negative_prompt is None else model.negative_prompt
    return pool.sampling(
        config.num_steps,
        config.guidance,
        config.sigma_max,
        config.seed,
        config.fps,
        config.num_frames,
        config.resolution,
        negative,
        config.num_conditional_frames,
        config.keep_input_resolution,
    )


def _contradictions(model: _Record, config: _Config, location: Location) -> list[Problem]:
    """Problems of values that contradict each other."""
    problems = []
    outer, inner = model.negative_prompt, config.negative_prompt
    if outer is not None and inner is not None and outer != inner:
        remedy = "keep one of negative_prompt and execution_config.negative_prompt"
        problems.append(
            location.problem("negative_prompt", "is given twice, differently", remedy, model.negative_prompt)
        )
    if model.job_type != "upscale" and (config.weights or {}).get("upscale"):
        remedy = 'set job_type to "upscale", or the weight to 0'
        name = "execution_config.weights.upscale"
        problems.append(location.problem(name, "is active in a run that is no upscale job", remedy))
    problems += _idle_prompts(model.inputs or {}, config, location)
    return problems + idle_settings(
        (model.inputs or {}).get(MASK),
        config.guided_generation_step_threshold,
        config.guided_generation_foreground_labels,
        location.within_field("execution_config"),
        f"inputs.{MASK}",
    )


def _idle_prompts(inputs: Mapping[_InputName, str | None], config: _Config, location: Location) -> list[Problem]:
    """Problems of prompts of controls and masks that have no effect."""
    problems = []
    for name, prompt in (config.mask_prompts or {}).items():
        mask = _MASK_NAMES[name]
        if prompt is not None and inputs.get(mask) is not None:
            remedy = f"keep one of the two: inputs.{mask} is the mask itself"
            problems.append(
                location.problem(f"execution_config.mask_prompts.{name}", "is beside a mask", remedy, prompt)
            )
    for name, prompt in (config.control_prompts or {}).items():
        if prompt is None:
            continue
        field = f"execution_config.control_prompts.{name}"
        if name != "seg":
            problems.append(
                location.problem(field, "has no effect: seg alone is made by a prompt", "remove it", prompt)
            )
        elif inputs.get("seg") is not None:
            remedy = "remove it, or the video, so that seg is made from the input video"
            problems.append(location.problem(field, "has no effect: inputs.seg is given", remedy, prompt))
    return problems


def record_of(run: Run, names: Mapping[str, str]) -> dict[str, Any]:
    """The native record of a run. `names`: what to call its files, by path; others keep their path."""
    settings = {name: value for name, value in asdict(run.sampling).items() if value is not None}
    if settings.get("fps") == "input":
        del settings["fps"]
    given = {"video": run.video, MASK: run.guided_mask}
    for control in run.active:
        given |= {control.name: control.video, mask_name(control.name): control.mask}
    settings |= guided_settings(run) | control_prompts(run)
    inputs = {name: with_file(video, lambda path: names.get(path, path)) for name, video in given.items() if video}
    return {
        "id": run.id,
        "prompt": run.prompt,
        "inputs": inputs,
        "execution_config": {"weights": {c.name: c.weight for c in run.controls}, **settings, **run.presets},
        "priority": int(run.priority),
        "job_type": run.job_type,
        **_annotations(run),
        **request_fields(run.acceptance),
    }


def _annotations(run: Run) -> dict[str, Any]:
    """The sweep, tags and metadata of a run, without those that it does not have."""
    return {name: value for name, value in asdict(run.annotations).items() if value} if run.annotations else {}
