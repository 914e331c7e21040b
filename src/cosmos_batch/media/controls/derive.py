"""Makes the frames of a control from an input video and a recipe."""

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
"""Version of the algorithms; raise it whenever a made control changes for equal input."""

_ESTIMATION_SIDE = 1280  # pixels: depth and segments are estimated on pictures up to this side, then resized


class Estimator(Protocol):
    """Estimates depth and segments."""

    @property
    def identity(self) -> str:
        """Everything that its results depend on beside the input."""

    def depth(self, frames: Frames) -> NDArray[np.float32]:
        """[frames, height, width, 3] to [frames, height, width], nearer is larger."""

    def objects(self, frames: Frames, prompt: str) -> NDArray[np.bool_]:
        """A mask per object that the prompt names: [objects, frames, height, width]; there may be none."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that a made control depends on, beside the input video and `VERSION`."""

    kind: str  # name of a control; or "mask": white on the things that the prompt names
    count: int  # frames
    size: tuple[int, int]  # width, height in pixels
    preset: Strength = "medium"  # of edge and vis
    prompt: str = ""  # of seg and mask
    models: str = ""  # of depth, seg and mask: the estimator's identity


def recipe_of(control: Control, *, count: int, size: tuple[int, int], prompt: str, estimator: Estimator) -> Recipe:
    """The recipe of a control to make; `prompt` is the run's."""
    if control.name == "depth":
        return Recipe("depth", count, size, models=estimator.identity)
    if control.name == "seg":
        things = control.prompt or segmentation_prompt(prompt)
        return Recipe("seg", count, size, prompt=things, models=estimator.identity)
    return Recipe(control.name, count, size, preset=control.preset)


def make(video: str | Path, recipe: Recipe, estimator: Estimator) -> Frames:
    """The frames of a control, [count, height, width, 3].

    Raises MediaError if the video cannot be read or is shorter than `recipe.count`, if the video has
    nothing that the prompt names, or for a control that must be supplied; and the errors of the estimator.
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


def _estimation_size(info: VideoInfo) -> tuple[int, int]:
    """The video's own size, or the same shape within `_ESTIMATION_SIDE`."""
    scale = min(1, _ESTIMATION_SIDE / max(info.width, info.height))
    return max(1, round(info.width * scale)), max(1, round(info.height * scale))
