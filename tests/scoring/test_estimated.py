"""Depth and masks of an output against those of its input, by an estimator whose results are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cosmos_batch.errors import MediaError
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.video import Frames
from cosmos_batch.run import Control, Run
from cosmos_batch.scoring.estimated import depth_rmse, mask_miou
from cosmos_batch.scoring.measures import mean_iou, scaled_rmse


class Brightness:
    """Takes brightness for depth, and what is light for the only object."""

    identity = "brightness"

    def depth(self, frames: Frames) -> NDArray[np.float32]:
        """The red channel."""
        return frames[..., 0].astype(np.float32)

    def objects(self, frames: Frames, prompt: str) -> NDArray[np.bool_]:
        """What is lighter than half, unless the prompt names nothing."""
        return (frames[..., 0] > 127)[None] if prompt != "nothing" else np.zeros((0, *frames.shape[:3]), np.bool_)


def video(path: Path, left: int, right: int, edge: int) -> str:
    """Two frames of 16x16, `left` of so many columns and `right` of the others."""
    frames = np.full((2, 16, 16, 3), right, np.uint8)
    frames[:, :, :edge] = left
    write_video(path, frames, 8.0, lossless=True)
    return str(path)


def run_over(path: str, things: str = "a wall") -> Run:
    seg = Control(name="seg", weight=1.0, prompt=things)
    return Run(id="a", prompt="a wall", video=path, controls=(seg,))


def test_depth_may_be_scaled_and_not_be_moved(tmp_path: Path) -> None:
    run = run_over(video(tmp_path / "in.mp4", 100, 50, 10))
    halved = Path(video(tmp_path / "half.mp4", 50, 25, 10))
    assert depth_rmse(run, halved, Brightness()) == pytest.approx(0.0, abs=0.03)  # of two roundings
    # 10 of 16 columns are equal, 6 are off by 50 of a median of 100
    assert depth_rmse(run, Path(video(tmp_path / "flat.mp4", 100, 100, 10)), Brightness()) == pytest.approx(
        0.5 * (6 / 16) ** 0.5, abs=0.02
    )


def test_masks_are_compared_by_their_union(tmp_path: Path) -> None:
    run = run_over(video(tmp_path / "in.mp4", 200, 20, 8))
    wider = Path(video(tmp_path / "out.mp4", 200, 20, 12))
    assert mask_miou(run, wider, Brightness()) == pytest.approx(8 / 12)
    with pytest.raises(MediaError, match="nothing that 'nothing' names was found"):
        mask_miou(run_over(str(run.video), "nothing"), wider, Brightness())


def test_each_object_of_the_reference_takes_its_best_match() -> None:
    left, right = np.eye(2, dtype=np.bool_)
    assert mean_iou(np.stack([left, right]), np.stack([right])) == 0.5
    assert mean_iou(np.stack([left]), np.zeros((0, 2), np.bool_)) == 0.0
    assert scaled_rmse(np.float32([2, 2, 4]), np.float32([1, 1, 2])) == 0.0
