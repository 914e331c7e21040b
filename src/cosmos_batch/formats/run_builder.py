"""Builds the runs of a file: base of its paths, ids of its runs, equal values kept once."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

from cosmos_batch.controls import ControlName
from cosmos_batch.errors import Problem
from cosmos_batch.formats.guided import LABELS_SUFFIX, is_label_file
from cosmos_batch.formats.ids import RESERVED_IDS, valid_id
from cosmos_batch.formats.input_files import PathResolver
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.validate import FieldNames, rule_violations
from cosmos_batch.run import (
    Acceptance,
    Annotations,
    Control,
    Cosmos3Settings,
    GuidedGeneration,
    JobType,
    Priority,
    Run,
    Sampling,
    Strength,
)

_MAX_STEM = 100  # leaves room for a number within the length of an id
_CACHE_SIZE = 50_000  # values that are shared; beyond it the cache is emptied

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """A cache of bounded size, by which equal values become one object."""

    def __init__(self) -> None:
        self._values: dict[Key, Value] = {}
        self.get = self._values.get

    def put(self, key: Key, value: Value) -> Value:
        """Keep the value, and return it."""
        if len(self._values) >= _CACHE_SIZE:
            self._values.clear()
        self._values[key] = value
        return value


@dataclass(slots=True, kw_only=True)
class RunInputs:
    """The part that many runs of a file share: the files that they use, with controls and job type."""

    video: str | None
    controls: tuple[Control, ...]
    files: list[tuple[str, str, PathResolver]]  # used files: field, path as given, resolver
    job_type: JobType = "inference"
    guided_generation: GuidedGeneration | None = None
    valid: bool = False  # checked once, without problems


@dataclass(slots=True, kw_only=True)
class RunDraft:
    """The values of a run before the rules between fields are checked."""

    id: str
    prompt: str | None
    inputs: RunInputs
    sampling: Sampling
    priority: int = Priority.NORMAL
    cosmos3: Cosmos3Settings | None = None
    annotations: Annotations | None = None
    acceptance: Acceptance | None = None


_FILLED = frozenset({"num_steps", "guidance", "sigma_max", "negative_prompt"})


@lru_cache(maxsize=64)
def filled_in(given: frozenset[str]) -> frozenset[str]:
    """The settings that a format of NVIDIA's fills in for a record with these fields."""
    return _FILLED - given


class ValuePool:
    """Values that the runs of all files share, so that a million runs fit in memory."""

    def __init__(self) -> None:
        self._texts = BoundedCache[str, str]()
        self._samplings = BoundedCache[Hashable, Sampling]()
        self._controls = BoundedCache[Hashable, Control]()
        self._rules = BoundedCache[Hashable, Acceptance]()

    def text(self, value: str) -> str:
        """The first text equal to this one."""
        return self._texts.get(value) or self._texts.put(value, value)

    def rule(self, value: Acceptance) -> Acceptance:
        """The first rule equal to this one."""
        key = (*value.scores.items(), value.attempts, value.seed_step)
        return self._rules.get(key) or self._rules.put(key, value)

    def sampling(
        self,
        num_steps: int | None,
        guidance: float | None,
        sigma_max: float | None,
        seed: int | None,
        fps: float | None,
        num_frames: int | None,
        resolution: str | None,
        negative_prompt: str | None,
        num_conditional_frames: int | None = None,
        keep_input_resolution: bool | None = None,
    ) -> Sampling:
        """The shared sampling settings of these values."""
        key = (
            num_steps,
            guidance,
            sigma_max,
            seed,
            fps,
            num_frames,
            resolution,
            negative_prompt,
            num_conditional_frames,
            keep_input_resolution,
        )
        return self._samplings.get(key) or self._samplings.put(
            key,
            Sampling(
                num_steps=num_steps,
                guidance=guidance,
                sigma_max=sigma_max,
                seed=seed,
                fps=fps,
                num_frames=num_frames,
                resolution=resolution,
                negative_prompt=negative_prompt,
                num_conditional_frames=num_conditional_frames,
                keep_input_resolution=keep_input_resolution,
            ),
        )

    def control(
        self,
        name: ControlName,
        weight: float,
        video: str | None,
        preset: Strength = "medium",
        *,
        prompt: str | None = None,
        mask: str | None = None,
        mask_prompt: str | None = None,
    ) -> Control:
        """The shared control of these values."""
        key = (name, weight, video, preset, prompt, mask, mask_prompt)
        return self._controls.get(key) or self._controls.put(
            key,
            Control(
                name=name,
                weight=weight,
                video=video,
                preset=preset,
                prompt=prompt,
                mask=mask,
                mask_prompt=mask_prompt,
            ),
        )


@dataclass(slots=True)
class SourceFile:
    """One file while its records are read."""

    stem: str  # of its name, as part of an id
    paths: PathResolver
    pool: ValuePool
    shared_inputs: BoundedCache[Hashable, RunInputs] = field(default_factory=BoundedCache)
    warnings: list[Problem] = field(
        default_factory=list
    )  # about the latest record, which gives its run all the same
    score_names: Collection[str] | None = None  # that rules may use; None: those of this machine
    filled: frozenset[str] = frozenset()  # settings of the latest record's run that the format has filled in

    def id_for(self, number: int | None) -> str:
        """The id of a run that has none, independent of the other files."""
        return self.stem if number is None else f"{self.stem}-{number}"

    def build(
        self, draft: RunDraft, location: Location, names: FieldNames, problems: list[Problem]
    ) -> Run | list[Problem]:
        """The run of a draft, or all its problems, `problems` included."""
        inputs, prompt = draft.inputs, draft.prompt
        found = problems
        if not inputs.valid or not prompt or prompt.isspace():
            found = problems + _cross_field_problems(draft, location, names, problems)
            inputs.valid = not found
        if draft.id.casefold() in RESERVED_IDS:
            remedy = f"a file of this name stands beside the folders of the runs; {valid_id(draft.id)!r} would do"
            found.append(location.problem(names.id, "is reserved", remedy, draft.id))
        if found or prompt is None:
            return found
        return Run(
            id=draft.id,
            prompt=self.pool.text(prompt),
            controls=inputs.controls,
            video=inputs.video,
            sampling=draft.sampling,
            priority=draft.priority,
            job_type=inputs.job_type,
            cosmos3=draft.cosmos3,
            guided_generation=inputs.guided_generation,
            annotations=draft.annotations,
            acceptance=draft.acceptance,
        )


def stem_of(name: str) -> str:
    """A file's stem as a part of an id: characters that an id may not have become "-"."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip(".-")[:_MAX_STEM]
    return plain or "run"


def _cross_field_problems(
    draft: RunDraft, location: Location, names: FieldNames, known: list[Problem]
) -> list[Problem]:
    """Violated rules between fields, and files that cannot be used."""
    inputs = draft.inputs
    violations = rule_violations(
        names,
        inputs.controls,
        prompt=draft.prompt,
        video=inputs.video,
        upscale=inputs.job_type == "upscale",
        guided=inputs.guided_generation is not None,
    )
    found = [violation.at(location) for violation in violations if not violation.repeats(known, location)]
    for name, text, paths in inputs.files:
        if fault := paths.problem(location, name, text):
            found.append(fault)
        elif is_label_file(text) and name != names.guided_mask:
            remedy = f"give a video or a picture; {LABELS_SUFFIX} files are masks of guided generation alone"
            found.append(location.problem(name, "holds labels, and no video", remedy, text))
    return found
