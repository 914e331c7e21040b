"""Scores that models measure: depth and objects of an output against those of its input.

They are measured of at most `MAX_ESTIMATED` frames, evenly spaced, at no more than `MAX_SIDE` pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cosmos_batch.controls import segmentation_prompt
from cosmos_batch.errors import MediaError
from cosmos_batch.media.controls.derive import Estimator
from cosmos_batch.media.video import Frames, frames_of, probe, resized
from cosmos_batch.run import Run
from cosmos_batch.scoring.measures import mean_iou, scaled_rmse

MAX_ESTIMATED = 12
"""Frames of a video of which depth and objects are estimated."""
MAX_SIDE = 640
"""Pixels of the longer side at which they are."""


def depth_rmse(run: Run, output: Path, estimator: Estimator) -> float:
    """The scale-invariant error of the output's depth, 0 or more. Raises MediaError and the estimator's errors."""
    reference, made = _pair(run, output)
    return scaled_rmse(estimator.depth(reference), estimator.depth(made))


def mask_miou(run: Run, output: Path, estimator: Estimator) -> float:
    """How far the objects of the input are where they were, 0 to 1. Raises as `depth_rmse`.

    The objects are those that the seg control's prompt names, else those of the run's prompt.
    """
    reference, made = _pair(run, output)
    named = next((control.prompt for control in run.active if control.name == "seg" and control.prompt), None)
    things = named or segmentation_prompt(run.prompt)
    wanted = estimator.objects(reference, things)
    if not len(wanted):
        raise MediaError(f"nothing that {things[:60]!r} names was found in the first frame of the input")
    return mean_iou(wanted, estimator.objects(made, things))


def _pair(run: Run, output: Path) -> tuple[Frames, Frames]:
    """Evenly spaced frames of input and output, at the input's shape: each [frames, height, width, 3]."""
    if run.video is None:
        raise MediaError("the run has no input video to compare with")
    info, frames = probe(run.video), probe(output).frames
    scale = min(1.0, MAX_SIDE / max(info.width, info.height))
    size = max(1, round(info.width * scale)), max(1, round(info.height * scale))
    wanted = set(np.linspace(0, frames - 1, min(frames, MAX_ESTIMATED)).round().astype(int).tolist())
    pairs = enumerate(zip(frames_of(run.video), frames_of(output), strict=False))
    chosen = [(resized(given, size), resized(made, size)) for number, (given, made) in pairs if number in wanted]
    return np.stack([given for given, _ in chosen]), np.stack([made for _, made in chosen])
