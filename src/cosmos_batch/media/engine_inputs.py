"""Inputs of an engine: the frames of a run's input, controls and masks, at the engine's size and length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cosmos_batch.controls import CONTROLS, Derivation
from cosmos_batch.errors import MediaError
from cosmos_batch.formats.guided import is_label_file
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.label_masks import read_label_mask
from cosmos_batch.media.video import Frames, Resample, read_frames, read_mask
from cosmos_batch.run import Control, Run


def prepare_input(run: Run, *, count: int, size: tuple[int, int]) -> Frames | None:
    """The input video, [count, height, width, 3], or None for a run without one. `size` = (width, height).

    Raises MediaError if it cannot be read or is shorter than `count`.
    """
    return None if run.video is None else read_frames(run.video, count=count, size=size)


def prepare_control(
    run: Run, control: Control, *, count: int, size: tuple[int, int], cache: ControlCache
) -> Frames:
    """A control video, [count, height, width, 3]: the given one, else made from the run's input and cached.

    A given seg video is resized by nearest neighbour, so that its colours stay exact. Raises MediaError
    if a video cannot be read, is shorter than `count` or must be supplied, and MissingExtraError if making
    it takes models that are not installed.
    """
    if control.video is not None:
        resample: Resample = "nearest" if control.name == "seg" else "smooth"
        return read_frames(control.video, count=count, size=size, resample=resample)
    made = cache.get_or_make(_input(run, control.name), control, count=count, size=size, prompt=run.prompt)
    return read_frames(made, count=count)


def prepare_mask(
    run: Run, control: Control, *, count: int, size: tuple[int, int], cache: ControlCache
) -> NDArray[np.float32] | None:
    """The mask of a control, [count, height, width] from 0 to 1, or None where the control counts everywhere.

    A mask video takes precedence over a mask prompt. Raises as `prepare_control` does.
    """
    if control.mask is not None:
        return read_mask(control.mask, count=count, size=size)
    if control.mask_prompt is None:
        return None
    video = _input(run, f"{control.name} mask")
    made = cache.get_or_make_mask(video, control.mask_prompt, count=count, size=size)
    return read_mask(made, count=count, size=size)


def prepare_guided_mask(run: Run, *, count: int, size: tuple[int, int]) -> NDArray[np.float32] | None:
    """The mask of guided generation, [count, height, width] from 0 to 1; None for a run without it.

    Raises MediaError as `prepare_input` does.
    """
    guided = run.guided_generation
    if guided is None:
        return None
    if is_label_file(guided.mask):
        return read_label_mask(guided.mask, guided.foreground_labels, count=count, size=size)
    return read_mask(guided.mask, count=count, size=size)


def needs_models(run: Run) -> bool:
    """Whether preparing the run's videos takes a depth or segmentation model."""
    made = any(c.video is None and CONTROLS[c.name].derivation is Derivation.MODEL for c in run.active)
    return made or any(c.mask is None and c.mask_prompt is not None for c in run.active)


def _input(run: Run, what: str) -> str:
    if run.video is None:
        raise MediaError(f"run {run.id}: no input video to make its {what} from; supply either video")
    return run.video
