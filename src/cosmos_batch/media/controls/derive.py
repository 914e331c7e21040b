"""From an input video and a recipe to the frames of a control."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cosmos_batch.controls import segmentation_prompt
from cosmos_batch.errors import MediaError
from cosmos_batch.media.controls.pixels import coloured_masks, grey_depth, make_control
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.video import Frames, probe, read_frames, resized
from cosmos_batch.run import Control, Strength

VERSION = 1
"""Of the algorithms; raise it whenever a made control changes for equal input."""

_ESTIMATION_SIDE = 1280  # pixels: depth and segments are estimated on pictures up to this, then resized


class Estimator(Protocol):
    """What makes depth and segments."""

    @property
    def identity(self) -> str:
        """What its results depend on beside the input."""

    def depth(self, frames: Frames) -> NDArray[np.float32]:
        """[frames, height, width, 3] to [frames, height, width], nearer is larger."""

    def objects(self, frames: Frames, prompt: str) -> NDArray[np.bool_]:
        """A mask of each thing named: [objects, frames, height, width], maybe of no object."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a made control depends on, beside the input video and `VERSION`."""

    kind: str  # name of a control; or "mask": white where something is that the prompt names
    count: int  # frames
    size: tuple[int, int]  # width, height in pixels
    preset: Strength = "medium"  # of edge and vis
    prompt: str = ""  # of seg and mask
    models: str = ""  # of depth, seg and mask: the estimator's identity


def recipe_of(control: Control, *, count: int, size: tuple[int, int], prompt: str, estimator: Estimator) -> Recipe:
    """The recipe of a control that is to be made; `prompt` is the run's."""
    if control.name == "depth":
        return Recipe("depth", count, size, models=estimator.identity)
    if control.name == "seg":
        things = control.prompt or segmentation_prompt(prompt)
        return Recipe("seg", count, size, prompt=things, models=estimator.identity)
    return Recipe(control.name, count, size, preset=control.preset)


def make(video: str | Path, recipe: Recipe, estimator: Estimator) -> Frames:
    """The frames of a control, [count, height, width, 3].

    Raises MediaError if the video cannot be read or is shorter than `recipe.count`, if nothing that the prompt
    names is in it, or if it is a control that must be supplied; and what the estimator raises.
    """
    if recipe.kind not in ("depth", "seg", "mask"):
        return make_control(recipe.kind, read_frames(video, count=recipe.count, size=recipe.size), recipe.preset)
    frames = read_frames(video, count=recipe.count, size=_estimation_size(probe(video)))
    if recipe.kind == "depth":
        return np.stack([resized(frame, recipe.size) for frame in grey_depth(estimator.depth(frames))])
    masks = estimator.objects(frames, recipe.prompt)
    if not len(masks):
        raise MediaError(
            f"{video}: nothing that {recipe.prompt[:60]!r} names was found in its first frame; "
            f"name things that are to be seen there, or supply the {recipe.kind} video"
        )
    painted = coloured_masks(masks) if recipe.kind == "seg" else _white(np.asarray(masks.any(axis=0)))
    return np.stack([resized(frame, recipe.size, "nearest") for frame in painted])


def _white(mask: NDArray[np.bool_]) -> Frames:
    return np.repeat(mask[..., None], 3, axis=-1).astype(np.uint8) * np.uint8(255)


def _estimation_size(facts: VideoInfo) -> tuple[int, int]:
    """Size of the video itself, or the same shape within `_ESTIMATION_SIDE`."""
    scale = min(1, _ESTIMATION_SIDE / max(facts.width, facts.height))
    return max(1, round(facts.width * scale)), max(1, round(facts.height * scale))
