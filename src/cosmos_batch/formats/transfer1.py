"""Cosmos-Transfer1: controlnet specs, and the batch files whose lines override them.

What NVIDIA's `transfer.py` would pass over without a word is a problem here, except what its own sample
files do. Settings that a spec leaves out mean the defaults of NVIDIA's command line, and are filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cosmos_batch.controls import CONTROLS, segmentation_prompt
from cosmos_batch.errors import Problem
from cosmos_batch.formats.input_files import Locator
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.records import Record
from cosmos_batch.formats.run_builder import Draft, Setup, Source
from cosmos_batch.formats.transfer1_schema import BRANCHES, Branch, BranchName, SegBranch, Spec, Transfer1Sample
from cosmos_batch.formats.validate import Names, validated
from cosmos_batch.formats.weight_maps import with_constants
from cosmos_batch.run import Control, Run, Sampling, Strength

_SPEC_NAMES = Names(
    video="input_video_path", weights=BRANCHES, control_video="{}.input_control", id="the file's name"
)
_SAMPLE_NAMES = Names(
    video="visual_input",
    weights=("control_overrides",),
    control_video="control_overrides.{}.input_control",
    id="the file's name",
)


@dataclass(frozen=True, slots=True)
class Base:
    """A spec whose batch file says what differs."""

    spec: Spec
    raw: Mapping[BranchName, Mapping[str, object]]  # its controls as the file has them, in its order
    locator: Locator


def read_spec(record: Record, source: Source) -> Run | list[Problem]:
    """The run that a spec says by itself, or all its problems."""
    base, problems = _base(record, source)
    if base is None:
        return problems
    spec = base.spec
    branches = [
        _Chosen(name, branch, f"{name}.input_control", source.locator)
        for name in base.raw
        if (branch := _branch_of(spec, name))
    ]
    setup = _setup(base, branches, spec.prompt, ("input_video_path", spec.input_video_path), source)
    sampling = _sampling(spec, source)
    draft = Draft(id=source.id_for(record.number), prompt=spec.prompt, setup=setup, sampling=sampling)
    return source.finish(draft, record.place, _SPEC_NAMES, problems)


def read_base(record: Record, source: Source) -> Base | list[Problem]:
    """The spec as the base of a batch, or all its problems. Its own video is never used."""
    kept = {key: value for key, value in record.value.items() if key != "batch_input_path"}
    base, problems = _base(record._replace(value=kept), source)
    return problems if base is None or problems else base


def read_sample(record: Record, source: Source, base: Base) -> Run | list[Problem]:
    """The run that a line of a batch file makes of its base, or all its problems."""
    sample, problems = validated(Transfer1Sample, record.value, record.place)
    if sample is None:
        return problems
    branches, faults = _overridden(sample, base, record.place, source)
    setup = _setup(base, branches, sample.prompt, ("visual_input", sample.visual_input), source)
    sampling = _sampling(base.spec, source)
    draft = Draft(id=source.id_for(record.number), prompt=sample.prompt, setup=setup, sampling=sampling)
    return source.finish(draft, record.place, _SAMPLE_NAMES, problems + faults)


class _Chosen(NamedTuple):
    """A control as one run has it."""

    name: BranchName
    branch: Branch
    path_field: str
    locator: Locator  # of the file that names its video


def _base(record: Record, source: Source) -> tuple[Base | None, list[Problem]]:
    values = {
        key: with_constants(value, source.locator) if key in BRANCHES and isinstance(value, dict) else value
        for key, value in record.value.items()
    }
    spec, problems = validated(Spec, values, record.place)
    if spec is None:
        return None, problems
    present = [name for name in record.value if name in BRANCHES]
    raw = {name: value for name in present if isinstance(value := values[name], dict)}
    for name in raw:
        if branch := _branch_of(spec, name):
            problems += _misplaced_sigma(branch, spec, record.place.inside(name))
    return Base(spec, raw, source.locator), problems


def _overridden(
    sample: Transfer1Sample, base: Base, place: Location, source: Source
) -> tuple[list[_Chosen], list[Problem]]:
    """The base's controls with the sample's overrides over them, merged key by key as NVIDIA does."""
    chosen, problems = [], []
    for name, raw in base.raw.items():
        override = with_constants(sample.control_overrides.get(name, {}), source.locator)
        branch = _branch_of(base.spec, name)
        field, locator = f"{name}.input_control", base.locator
        if override:
            here = place.inside(f"control_overrides.{name}")
            branch, faults = validated(_model(name), {**raw, **override}, here)
            if branch:
                faults += _misplaced_sigma(branch, base.spec, here)
            problems += faults
            if "input_control" in override:
                field, locator = f"control_overrides.{name}.input_control", source.locator
        if branch:
            chosen.append(_Chosen(name, branch, field, locator))
    for name in sample.control_overrides.keys() - base.raw.keys():
        remedy = f"add {name} to the spec (with control_weight 0 where it is not to count), or remove it"
        problems.append(place.problem(f"control_overrides.{name}", "is a control that the spec lacks", remedy))
    return chosen, problems


def _setup(
    base: Base, branches: list[_Chosen], prompt: str | None, video: tuple[str, str | None], source: Source
) -> Setup:
    """Controls and files of one run; `video` is the field that names the input video, and its path."""
    spec, (video_field, path) = base.spec, video
    inputs = [(video_field, path, source.locator)] if path is not None else []
    for chosen in branches:
        given = chosen.branch.input_control
        if chosen.branch.control_weight and given is not None:
            inputs.append((chosen.path_field, given, chosen.locator))
    return Setup(
        video=None if path is None else source.locator.resolve(path),
        controls=tuple(_control(chosen, prompt or "", spec, source) for chosen in branches),
        inputs=inputs,
        job_type="upscale" if _upscales(branches) else "inference",
    )


def _sampling(spec: Spec, source: Source) -> Sampling:
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


def _control(chosen: _Chosen, prompt: str, spec: Spec, source: Source) -> Control:
    name, branch = chosen.name, chosen.branch
    video = None if branch.input_control is None else chosen.locator.resolve(branch.input_control)
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


def _upscales(branches: list[_Chosen]) -> bool:
    return any(chosen.name == "upscale" and chosen.branch.control_weight for chosen in branches)


def _model(name: BranchName) -> type[Branch]:
    return SegBranch if name == "seg" else Branch


def _branch_of(spec: Spec, name: BranchName) -> Branch | None:
    branch: Branch | None = getattr(spec, name)
    return branch


def _misplaced_sigma(branch: Branch, spec: Spec, place: Location) -> list[Problem]:
    """A sigma_max inside a control does nothing, which is harmless only where it repeats the spec's."""
    if branch.sigma_max in (None, spec.sigma_max):
        return []
    remedy = "put it beside the controls: inside one it has no effect"
    return [place.problem("sigma_max", f"differs from the spec's {spec.sigma_max:g}", remedy, branch.sigma_max)]
