"""Cosmos-Transfer1: controlnet specs, and the batch files whose lines override them.

A key that NVIDIA's `transfer.py` would silently ignore is a problem here, unless NVIDIA's own sample files have
it. Settings that a spec leaves out get the defaults of NVIDIA's command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cosmos_batch.controls import CONTROLS, segmentation_prompt
from cosmos_batch.errors import Problem
from cosmos_batch.formats.input_files import PathResolver
from cosmos_batch.formats.nvidia.transfer1_schema import (
    BRANCHES,
    Branch,
    BranchName,
    SegBranch,
    Spec,
    Transfer1Sample,
)
from cosmos_batch.formats.nvidia.weight_maps import replace_constant_map
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.records import Record
from cosmos_batch.formats.run_builder import RunDraft, RunInputs, SourceFile, filled_in
from cosmos_batch.formats.validate import FieldNames, validate
from cosmos_batch.run import Control, JobType, Run, Sampling, Strength

SPEC_NAMES = FieldNames(
    video="input_video_path", weights=BRANCHES, control_video="{}.input_control", id="the file's name"
)
SAMPLE_NAMES = FieldNames(
    video="visual_input",
    weights=("control_overrides",),
    control_video="control_overrides.{}.input_control",
    id="the file's name",
)


@dataclass(frozen=True, slots=True)
class BaseSpec:
    """A spec whose batch file overrides parts of it."""

    spec: Spec
    raw: Mapping[BranchName, Mapping[str, object]]  # its controls as the file has them, in its order
    paths: PathResolver


def read_spec(record: Record, source: SourceFile) -> Run | list[Problem]:
    """The run of a spec alone, or all its problems."""
    base, problems = _base(record, source)
    if base is None:
        return problems
    spec = base.spec
    branches = [
        _RunControl(name, branch, f"{name}.input_control", source.paths)
        for name in base.raw
        if (branch := _branch_of(spec, name))
    ]
    inputs = _inputs(base, branches, spec.prompt, ("input_video_path", spec.input_video_path), source)
    sampling = _sampling(spec, source)
    draft = RunDraft(id=source.id_for(record.number), prompt=spec.prompt, inputs=inputs, sampling=sampling)
    return source.build(draft, record.location, SPEC_NAMES, problems)


def read_base(record: Record, source: SourceFile) -> BaseSpec | list[Problem]:
    """The spec as the base of a batch, or all its problems. Its own video is not used."""
    kept = {key: value for key, value in record.value.items() if key != "batch_input_path"}
    base, problems = _base(record._replace(value=kept), source)
    return problems if base is None or problems else base


def read_sample(record: Record, source: SourceFile, base: BaseSpec) -> Run | list[Problem]:
    """The run of a line of a batch file over its base, or all its problems."""
    sample, problems = validate(Transfer1Sample, record.value, record.location)
    if sample is None:
        return problems
    branches, faults = _overridden(sample, base, record.location, source)
    inputs = _inputs(base, branches, sample.prompt, ("visual_input", sample.visual_input), source)
    sampling = _sampling(base.spec, source)
    draft = RunDraft(id=source.id_for(record.number), prompt=sample.prompt, inputs=inputs, sampling=sampling)
    return source.build(draft, record.location, SAMPLE_NAMES, problems + faults)


class _RunControl(NamedTuple):
    """A control of one run."""

    name: BranchName
    branch: Branch
    path_field: str
    paths: PathResolver  # of the file that names its video


def _base(record: Record, source: SourceFile) -> tuple[BaseSpec | None, list[Problem]]:
    values = {
        key: replace_constant_map(value, source.paths) if key in BRANCHES and isinstance(value, dict) else value
        for key, value in record.value.items()
    }
    spec, problems = validate(Spec, values, record.location)
    if spec is None:
        return None, problems
    present = [name for name in record.value if name in BRANCHES]
    raw = {name: value for name in present if isinstance(value := values[name], dict)}
    for name in raw:
        if branch := _branch_of(spec, name):
            problems += _misplaced_sigma(branch, spec, record.location.within_field(name))
    return BaseSpec(spec, raw, source.paths), problems


def _overridden(
    sample: Transfer1Sample, base: BaseSpec, location: Location, source: SourceFile
) -> tuple[list[_RunControl], list[Problem]]:
    """The base's controls with the sample's overrides, merged key by key as NVIDIA does."""
    chosen, problems = [], []
    for name, raw in base.raw.items():
        override = replace_constant_map(sample.control_overrides.get(name, {}), source.paths)
        branch = _branch_of(base.spec, name)
        field, paths = f"{name}.input_control", base.paths
        if override:
            here = location.within_field(f"control_overrides.{name}")
            branch, faults = validate(_model(name), {**raw, **override}, here)
            if branch:
                faults += _misplaced_sigma(branch, base.spec, here)
            problems += faults
            if "input_control" in override:
                field, paths = f"control_overrides.{name}.input_control", source.paths
        if branch:
            chosen.append(_RunControl(name, branch, field, paths))
    for name in sample.control_overrides.keys() - base.raw.keys():
        remedy = f"add {name} to the spec (with control_weight 0 where it is not to count), or remove it"
        problems.append(location.problem(f"control_overrides.{name}", "is a control that the spec lacks", remedy))
    return chosen, problems


def _inputs(
    base: BaseSpec,
    branches: list[_RunControl],
    prompt: str | None,
    video: tuple[str, str | None],
    source: SourceFile,
) -> RunInputs:
    """Controls and files of one run; `video` is the field that names the input video, and its path."""
    spec, (video_field, path) = base.spec, video
    inputs = [(video_field, path, source.paths)] if path is not None else []
    for chosen in branches:
        given = chosen.branch.input_control
        if chosen.branch.control_weight and given is not None:
            inputs.append((chosen.path_field, given, chosen.paths))
    return RunInputs(
        video=None if path is None else source.paths.resolve(path),
        controls=tuple(_control(chosen, prompt or "", spec, source) for chosen in branches),
        files=inputs,
        job_type=_job_type(branches, spec),
    )


def _sampling(spec: Spec, source: SourceFile) -> Sampling:
    source.filled = filled_in(frozenset(spec.model_fields_set))
    return source.pool.sampling(
        spec.num_steps,
        spec.guidance,
        spec.sigma_max,
        spec.seed,
        spec.fps,
        None,
        None,
        spec.negative_prompt,
    )


def _control(chosen: _RunControl, prompt: str, spec: Spec, source: SourceFile) -> Control:
    name, branch = chosen.name, chosen.branch
    video = None if branch.input_control is None else chosen.paths.resolve(branch.input_control)
    named = branch.input_control_prompt if isinstance(branch, SegBranch) else None
    setting = CONTROLS[name].preset
    preset: Strength = getattr(spec, setting) if setting else "medium"
    return source.pool.control(
        name,
        branch.control_weight,
        video,
        preset,
        prompt=named or segmentation_prompt(prompt) if name == "seg" and video is None else None,
        mask_prompt=branch.control_weight_prompt or None,
    )


def _job_type(branches: list[_RunControl], spec: Spec) -> JobType:
    if spec.use_distilled:
        return "distilled"
    upscales = any(chosen.name == "upscale" and chosen.branch.control_weight for chosen in branches)
    return "upscale" if upscales else "inference"


def _model(name: BranchName) -> type[Branch]:
    return SegBranch if name == "seg" else Branch


def _branch_of(spec: Spec, name: BranchName) -> Branch | None:
    branch: Branch | None = getattr(spec, name)
    return branch


def _misplaced_sigma(branch: Branch, spec: Spec, location: Location) -> list[Problem]:
    """A sigma_max inside a control, which has no effect, if it differs from the spec's."""
    if branch.sigma_max in (None, spec.sigma_max):
        return []
    remedy = "put it beside the controls: inside one it has no effect"
    return [location.problem("sigma_max", f"differs from the spec's {spec.sigma_max:g}", remedy, branch.sigma_max)]
