"""Validates a record by its model and by the rules between fields, with every problem at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from cosmos_batch.controls import CONTROLS, TRANSFER_CONTROLS, Derivation
from cosmos_batch.errors import Problem
from cosmos_batch.formats.field_rules import rules_of
from cosmos_batch.formats.problems import Location, from_pydantic, join_path
from cosmos_batch.run import Control

Model = TypeVar("Model", bound=BaseModel)

# Controls whose video may be left out: it is made from the input video, or is the input video (upscale).
_MADE = frozenset(c.name for c in CONTROLS.values() if c.derivation is not Derivation.NONE)


class FieldNames(NamedTuple):
    """A format's names of the fields that the rules between fields mention."""

    video: str
    weights: tuple[str, ...]  # the fields that hold weights
    control_video: str  # "{}" stands for the control
    id: str = "id"
    control_mask: str = ""  # "{}" stands for the control; "": the format has no masks
    guided_mask: str = ""  # of guided generation; "": the format has none
    renamed: Mapping[str, str] = MappingProxyType({})  # controls that have another name in the format
    keep_input_resolution: str = "keep_input_resolution"
    settings: str = "{}"  # "{}" stands for a sampling setting
    renamed_settings: Mapping[str, str] = MappingProxyType({})  # settings that have another name in the format

    def video_of(self, control: str) -> str:
        """The field of a control's video."""
        return self.control_video.format(self.renamed.get(control, control))

    def mask_of(self, control: str) -> str:
        """The field of a control's mask."""
        return self.control_mask.format(self.renamed.get(control, control))

    def setting(self, name: str) -> str:
        """The field of a sampling setting."""
        return self.renamed_settings.get(name) or self.settings.format(name)


class RuleViolation(NamedTuple):
    """A violated rule between fields."""

    field: str
    message: str
    remedy: str
    causes: tuple[str, ...]  # the fields of which a bad value may be the cause

    def at(self, location: Location) -> Problem:
        """The violation as a problem."""
        return location.problem(self.field, self.message, self.remedy)

    def repeats(self, known: Sequence[Problem], location: Location) -> bool:
        """Whether a known problem of its cause fields already explains it."""
        paths = [join_path(location.within, name) for name in self.causes]
        return any(_overlap(path, problem.field) for path in paths for problem in known)


def validate(
    model: type[Model], record: Mapping[str, object], location: Location
) -> tuple[Model | None, list[Problem]]:
    """The record as its model, and its problems.

    With problems, the model is that of the record without the bad values (None where that is invalid too), so
    that the rules between fields can be checked at the same time.
    """
    try:
        return model.model_validate(record), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    rest = _without(record, [details["loc"] for details in errors])
    problems = from_pydantic(errors, rules_of(model), location)
    try:
        return model.model_validate(rest), problems
    except ValidationError:
        return None, problems


def rule_violations(
    names: FieldNames,
    controls: Sequence[Control],
    *,
    prompt: str | None,
    video: str | None,
    upscale: bool,
    guided: bool,
) -> Iterator[RuleViolation]:
    """Violated rules between the fields of a run."""
    active = [control for control in controls if control.weight > 0]
    weights = names.weights[0] if len(names.weights) == 1 else ""
    if not (prompt and prompt.strip()):
        state = "is missing" if prompt is None else "is empty"
        yield RuleViolation("prompt", state, "say what the video is to show", ("prompt", "prompt_path"))
    if not active:
        remedy = f"give at least one of {', '.join(TRANSFER_CONTROLS)} a weight above 0"
        yield RuleViolation(weights, "has no active control", remedy, names.weights)
    if upscale and any(control.name != "upscale" for control in active):
        remedy = "upscale in a run of its own"
        yield RuleViolation(weights, "mixes upscaling with other controls", remedy, names.weights)
    needing = [control.name for control in active if control.video is None]
    if needing:
        yield from _missing_videos(names, needing, video)
    if guided and video is None and not any(name in _MADE for name in needing):
        remedy = "give the input video, which guided generation holds the output to"
        yield RuleViolation(names.video, "is missing", remedy, (names.video, names.guided_mask))


def _missing_videos(names: FieldNames, needing: Sequence[str], video: str | None) -> Iterator[RuleViolation]:
    """Controls without a control video, and without an input video from which it could be made."""
    for name in needing:
        if name not in _MADE:
            field = names.video_of(name)
            remedy = f"give a control video: {name} is not made from the input video"
            yield RuleViolation(field, "is missing", remedy, (field,))
    makeable = [name for name in needing if name in _MADE]
    if makeable and video is None:
        remedy = f"give the input video, which {' and '.join(makeable)} is to be made from"
        own = tuple(names.video_of(name) for name in makeable)
        yield RuleViolation(names.video, "is missing", remedy, (names.video, *own))


def _overlap(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")


def _without(record: Mapping[str, object], locs: Sequence[Sequence[int | str]]) -> Mapping[str, object]:
    """A copy of the record without the values at `locs`, in time linear in both."""
    gone: set[str] = set()
    inside: defaultdict[str, list[Sequence[int | str]]] = defaultdict(list)
    for loc in locs:
        key = str(loc[0]) if loc else ""
        if len(loc) > 1 and loc[1] != "[key]" and isinstance(record.get(key), Mapping):
            inside[key].append(loc[1:])
        elif loc:
            gone.add(key)
    rest = {name: value for name, value in record.items() if name not in gone}
    for key in inside.keys() - gone:
        below = rest[key]
        assert isinstance(below, Mapping)
        rest[key] = _without(below, inside[key])
    return rest
