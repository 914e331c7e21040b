"""A record against its model and against the rules between fields, every problem in one go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from cosmos_batch.controls import CONTROLS, TRANSFER_CONTROLS, Derivation
from cosmos_batch.errors import Problem
from cosmos_batch.formats.field_rules import rules_of
from cosmos_batch.formats.problems import Location, from_pydantic, joined
from cosmos_batch.run import Control

Model = TypeVar("Model", bound=BaseModel)

# Controls whose video is made from the input video where none is given; upscale takes the input video itself.
_MADE = frozenset(c.name for c in CONTROLS.values() if c.derivation is not Derivation.NONE)


class Names(NamedTuple):
    """What a format calls the fields that the rules between fields are about."""

    video: str
    weights: tuple[str, ...]  # the fields below which weights stand
    control_video: str  # "{}" stands for the control
    id: str = "id"


class Complaint(NamedTuple):
    """A broken rule between fields."""

    field: str
    message: str
    remedy: str
    roots: tuple[str, ...]  # the fields whose values could mend it

    def at(self, place: Location) -> Problem:
        """The complaint as a problem."""
        return place.problem(self.field, self.message, self.remedy)

    def echoes(self, known: Sequence[Problem], place: Location) -> bool:
        """Whether it only says again that a value of those fields is bad."""
        paths = [joined(place.within, name) for name in self.roots]
        return any(_overlap(path, problem.field) for path in paths for problem in known)


def validated(
    model: type[Model], record: Mapping[str, object], place: Location
) -> tuple[Model | None, list[Problem]]:
    """The record as its model, and what is wrong with it.

    With problems, the model is what is left of the record without the bad values (None where that is no
    record either), so that the rules between fields can be checked in the same go.
    """
    try:
        return model.model_validate(record), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    rest = record
    for details in errors:
        rest = _without(rest, details["loc"])
    problems = from_pydantic(errors, rules_of(model), place)
    try:
        return model.model_validate(rest), problems
    except ValidationError:
        return None, problems


def among_fields(
    names: Names, controls: Sequence[Control], *, prompt: str | None, video: str | None, upscale: bool
) -> Iterator[Complaint]:
    """What is wrong between the fields of a run."""
    active = [control for control in controls if control.weight > 0]
    weights = names.weights[0] if len(names.weights) == 1 else ""
    if not (prompt and prompt.strip()):
        state = "is missing" if prompt is None else "is empty"
        yield Complaint("prompt", state, "say what the video is to show", ("prompt", "prompt_path"))
    if not active:
        remedy = f"give at least one of {', '.join(TRANSFER_CONTROLS)} a weight above 0"
        yield Complaint(weights, "has no active control", remedy, names.weights)
    if upscale and any(control.name != "upscale" for control in active):
        remedy = "upscale in a run of its own"
        yield Complaint(weights, "mixes upscaling with other controls", remedy, names.weights)
    needing = [control.name for control in active if control.video is None]
    if needing:
        yield from _uncontrolled(names, needing, video)


def _uncontrolled(names: Names, needing: Sequence[str], video: str | None) -> Iterator[Complaint]:
    """Controls without a control video, and without anything that it could be made from."""
    for name in needing:
        if name not in _MADE:
            field = names.control_video.format(name)
            remedy = f"give a control video: {name} is not made from the input video"
            yield Complaint(field, "is missing", remedy, (field,))
    makeable = [name for name in needing if name in _MADE]
    if makeable and video is None:
        remedy = f"give the input video, which {' and '.join(makeable)} is to be made from"
        own = tuple(names.control_video.format(name) for name in makeable)
        yield Complaint(names.video, "is missing", remedy, (names.video, *own))


def _overlap(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")


def _without(record: Mapping[str, object], loc: Sequence[int | str]) -> Mapping[str, object]:
    """The record without the value at this place; the record itself is left as it is."""
    if not loc or loc[0] not in record:
        return record
    key = str(loc[0])
    below = record[key]
    if len(loc) > 1 and loc[1] != "[key]" and isinstance(below, Mapping):
        return {**record, key: _without(below, loc[1:])}
    return {name: value for name, value in record.items() if name != key}
