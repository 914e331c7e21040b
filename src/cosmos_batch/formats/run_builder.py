"""What is shared while a file is read: where its paths start, what its runs are called, equal values kept once."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from cosmos_batch.controls import ControlName
from cosmos_batch.errors import Problem
from cosmos_batch.formats.input_files import Locator
from cosmos_batch.formats.problems import Location
from cosmos_batch.formats.validate import Names, among_fields
from cosmos_batch.run import Control, Priority, Run, Sampling, Strength

_MAX_STEM = 100  # leaves room for a number within the length of an id
_CACHE_SIZE = 50_000  # values kept to be shared; after that many different ones, sharing starts anew

# Names that stand beside the folders of the runs, in any spelling that a file system may take for the same.
RESERVED_IDS = frozenset({"manifest.jsonl", "contact_sheet.png"})

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Cache(Generic[Key, Value]):
    """Equal values as one object, of bounded size."""

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
class Setup:
    """What many runs of a file have in common: the files they use, and what is done with them."""

    video: str | None
    controls: tuple[Control, ...]
    inputs: list[tuple[str, str, Locator]]  # files that are used: field, path as given, what resolves that
    job_type: Literal["inference", "upscale"] = "inference"
    sound: bool = False  # looked at once, and found good


@dataclass(slots=True, kw_only=True)
class Draft:
    """A run that is not yet known to be one."""

    id: str
    prompt: str | None
    setup: Setup
    sampling: Sampling
    priority: int = Priority.NORMAL


class Pool:
    """Values that runs share, over all files of a reading, so that a million runs stay small."""

    def __init__(self) -> None:
        self._texts = Cache[str, str]()
        self._samplings = Cache[Hashable, Sampling]()
        self._controls = Cache[Hashable, Control]()

    def text(self, value: str) -> str:
        """The first text that was equal to this one."""
        return self._texts.get(value) or self._texts.put(value, value)

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
    ) -> Sampling:
        """The settings of these values."""
        key = (num_steps, guidance, sigma_max, seed, fps, num_frames, resolution, negative_prompt)
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
        """The control of these values."""
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
class Source:
    """One file while its records are read."""

    stem: str  # of its name, made fit for an id
    locator: Locator
    pool: Pool
    setups: Cache[Hashable, Setup] = field(default_factory=Cache)

    def id_for(self, number: int | None) -> str:
        """The id of a run that brings none: the same whatever else is read beside it."""
        return self.stem if number is None else f"{self.stem}-{number}"

    def finish(self, draft: Draft, place: Location, names: Names, problems: list[Problem]) -> Run | list[Problem]:
        """The run that the draft is, or all that is wrong with it, `problems` included."""
        setup, prompt = draft.setup, draft.prompt
        found = problems
        if not setup.sound or not prompt or prompt.isspace():
            found = problems + _wrong_between(draft, place, names, problems)
            setup.sound = not found
        if draft.id.casefold() in RESERVED_IDS:
            remedy = "choose another id: a file of this name stands beside the folders of the runs"
            found.append(place.problem(names.id, "is reserved", remedy, draft.id))
        if found or prompt is None:
            return found
        return Run(
            id=draft.id,
            prompt=self.pool.text(prompt),
            controls=setup.controls,
            video=setup.video,
            sampling=draft.sampling,
            priority=draft.priority,
            job_type=setup.job_type,
        )


def stem_of(name: str) -> str:
    """A file's stem as a part of an id: what an id may not hold becomes "-"."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip(".-")[:_MAX_STEM]
    return plain or "run"


def _wrong_between(draft: Draft, place: Location, names: Names, known: list[Problem]) -> list[Problem]:
    """Broken rules between fields, and files that cannot be used."""
    setup = draft.setup
    complaints = among_fields(
        names,
        setup.controls,
        prompt=draft.prompt,
        video=setup.video,
        upscale=setup.job_type == "upscale",
    )
    found = [made.at(place) for made in complaints if not made.echoes(known, place)]
    for name, text, locator in setup.inputs:
        if fault := locator.problem(place, name, text):
            found.append(fault)
    return found
