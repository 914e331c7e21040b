"""Values of an engine's launch and batch keys, with unset settings filled in."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import fields, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any

from cosmos_batch.controls import CONTROLS, PRESETS
from cosmos_batch.planning.traits import Shape, Traits, VideoInfo
from cosmos_batch.run import DEFAULTS, Control, Run, Sampling

SETTINGS = tuple(setting.name for setting in fields(Sampling))
"""The names of a run's sampling settings."""
KeyValues = tuple[Hashable, ...]
"""The values of some keys, in the order of the keys' names."""


def resolved_defaults(traits: Traits) -> Sampling:
    """The settings of a run that leaves all open: those of the model, else those of `DEFAULTS`."""
    return _over_defaults(traits.defaults)


@lru_cache(maxsize=64)
def _over_defaults(model: Sampling) -> Sampling:
    return model.over(DEFAULTS)


def setting(run: Run, name: str, defaults: Sampling) -> Any:
    """A sampling setting of a run, or its default."""
    own = getattr(run.sampling, name)
    return getattr(defaults, name) if own is None else own


def preset(run: Run, control: str) -> str:
    """The preset with which a control video is made; NVIDIA's default, "medium", where it is given or not used."""
    made = (c.preset for c in run.controls if c.name == control and c.weight > 0 and c.video is None)
    return next(made, "medium")


def chunk_frames(run: Run) -> int | None:
    """The run's own length of a chunk; None: it has none."""
    return None if run.cosmos3 is None else run.cosmos3.chunk_frames


def is_map(control: Control) -> bool:
    """Whether the control's weight varies over the frame."""
    return control.mask is not None or control.mask_prompt is not None


def _preset_getter(control: str) -> Callable[[Run, Shape | None], Any]:
    return lambda run, _: preset(run, control)


_SPECIAL: Mapping[str, Callable[[Run, Shape | None], Hashable]] = {
    "weights": lambda run, _: tuple((c.name, c.weight, is_map(c)) for c in run.active),
    "input": lambda run, _: run.video is not None,
    "bucket": lambda _, shape: shape and (shape.width, shape.height),
    "shape": lambda _, shape: shape,
    "chunk_frames": lambda run, _: chunk_frames(run),
    **{setting: _preset_getter(control) for setting, control in PRESETS.items()},
}


Key = Callable[[Run, Shape | None], KeyValues]
"""Gives the values of some keys for a run and its shape. The shape may be None where no key needs it."""


@lru_cache(maxsize=64)
def key_of(names: tuple[str, ...], defaults: Sampling) -> Key:
    """Make the function that gives the values of the named keys, in that order, with unset settings filled in."""
    getters = tuple(_getter(name, defaults) for name in names)
    return lambda run, shape: tuple([get(run, shape) for get in getters])


def _getter(name: str, defaults: Sampling) -> Callable[[Run, Shape | None], Hashable]:
    if name in _SPECIAL:
        return _SPECIAL[name]
    if name not in SETTINGS:
        field: Callable[[Run], Hashable] = attrgetter(name)
        return lambda run, _: field(run)
    default, own = getattr(defaults, name), attrgetter(name)

    def value(run: Run, _: Shape | None) -> Hashable:
        given: Hashable = own(run.sampling)
        return default if given is None else given

    return value


def leading_video(run: Run) -> str | None:
    """The video whose shape a run has: its input, else that of the first active control in NVIDIA's order."""
    if run.video is not None:
        return run.video
    given = {control.name: control.video for control in run.controls if control.weight > 0 and control.video}
    return next((given[name] for name in CONTROLS if name in given), None) if given else None


def input_facts(run: Run, facts: Mapping[str, VideoInfo]) -> VideoInfo | None:
    """Facts of a run's input video, else of its first control video, with the frames of its shortest video.

    A mask counts as a video, unless it has a single frame, which holds for the whole video.
    """
    leading = leading_video(run)
    known = None if leading is None else facts.get(leading)
    guided = facts.get(run.guided_mask) if run.guided_mask else None
    if guided and guided.frames > 1:
        known = _cut(known, guided)
    for control in run.controls:
        if not control.weight or (control.video is None and control.mask is None):
            continue
        video, mask = (facts.get(path) if path else None for path in (control.video, control.mask))
        known = _cut(known, video) if known else video
        if mask and mask.frames > 1:
            known = _cut(known, mask)
    return known


def _cut(known: VideoInfo | None, other: VideoInfo | None) -> VideoInfo | None:
    if known is None or other is None or known.frames <= other.frames:
        return known
    return replace(known, frames=other.frames)


def distinguishing_values(
    names: tuple[str, ...], keys: Iterable[KeyValues]
) -> dict[KeyValues, tuple[tuple[str, Hashable], ...]]:
    """The (name, value) pairs that distinguish each key from the other keys of its signature.

    "signature" itself is never among them; keys without a signature are compared with all others.
    """
    of_signature: dict[Hashable, list[KeyValues]] = {}
    place = names.index("signature") if "signature" in names else None
    for each in keys:
        of_signature.setdefault(None if place is None else each[place], []).append(each)
    found = {}
    for group in of_signature.values():
        columns = zip(*group, strict=True)
        differing = [i for i, values in enumerate(columns) if i != place and len(set(values)) > 1]
        found.update({each: tuple((names[i], each[i]) for i in differing) for each in group})
    return found
