"""Scores of constructed videos."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.media.encode import write_video
from cosmos_batch.media.pictures import write_picture
from cosmos_batch.media.video import Frames
from cosmos_batch.run import Control, Run
from cosmos_batch.scoring.scores import flags_of
from cosmos_batch.scoring.video_scores import score_video

SIDE, COUNT = 64, 6


def moving_square(*, inner: int = 230, outer: int = 40, shift: int = 0, speed: int = 4) -> Frames:
    """A light square that moves to the right over a dark ground."""
    frames = np.full((COUNT, SIDE, SIDE, 3), outer, np.uint8)
    for number, frame in enumerate(frames):
        frame[20:44, 8 + speed * number + shift : 32 + speed * number + shift] = inner
    return frames


def video(path: Path, frames: Frames) -> Path:
    """A lossless video of the frames."""
    write_video(path, frames, 8.0, lossless=True)
    return path


def scores_of(folder: Path, output: Frames, source: Frames | None = None) -> Mapping[str, float]:
    """Score an output that was made from `source`, or from the moving square."""
    given = video(folder / "in.mp4", moving_square() if source is None else source)
    run = Run(id="a", prompt="a square", video=str(given), controls=(Control(name="edge", weight=1.0),))
    return score_video(run, video(folder / "out.mp4", output), len(output)).values


def test_a_copy_of_its_input_keeps_everything(tmp_path: Path) -> None:
    scores = scores_of(tmp_path, moving_square())
    assert scores["edge_f1"] == scores["blur_ssim"] == 1.0
    assert (scores["black"], scores["frozen"]) == (0.0, 0.0)
    # Two strips of 4 x 24 pixels change by 190 of 255 between two frames of 64 x 64.
    assert scores["steadiness"] == pytest.approx(1 - 2 * 4 * 24 / 64**2 * 190 / 255, abs=1e-3)
    assert flags_of(scores) == ()


def test_other_colours_keep_the_edges_and_not_the_blur(tmp_path: Path) -> None:
    scores = scores_of(tmp_path, moving_square(inner=40, outer=230))
    assert scores["edge_f1"] > 0.9
    assert scores["blur_ssim"] < 0.5


def test_a_square_elsewhere_keeps_part_of_the_edges(tmp_path: Path) -> None:
    scores = scores_of(tmp_path, moving_square(shift=8))
    assert 0.1 < scores["edge_f1"] < 0.7


def test_a_flickering_video_is_less_steady(tmp_path: Path) -> None:
    flickering = moving_square(speed=0)
    flickering[::2] += 20
    # 20 of 255 at every change; the picture itself stands still.
    assert scores_of(tmp_path, flickering)["steadiness"] == pytest.approx(1 - 20 / 255, abs=1e-3)


@pytest.mark.parametrize(
    ("output", "flag"),
    [
        (np.zeros((COUNT, SIDE, SIDE, 3), np.uint8), "black"),
        (moving_square(speed=0), "frozen"),
        (np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8), "noise"),
    ],
    ids=["black", "frozen", "noise"],
)
def test_a_broken_video_is_flagged(tmp_path: Path, output: Frames, flag: str) -> None:
    assert flag in flags_of(scores_of(tmp_path, output))


def test_what_the_input_has_itself_is_no_fault(tmp_path: Path) -> None:
    dark = np.zeros((COUNT, SIDE, SIDE, 3), np.uint8)
    assert flags_of(scores_of(tmp_path, dark, source=dark)) == ()


def test_a_given_control_video_is_the_reference_at_its_own_size(tmp_path: Path) -> None:
    control = np.zeros((COUNT, SIDE, SIDE, 3), np.uint8)
    run = Run(
        id="a",
        prompt="a square",
        controls=(Control(name="edge", weight=1.0, video=str(video(tmp_path / "edge.mp4", control))),),
    )
    larger = moving_square().repeat(2, axis=1).repeat(2, axis=2)
    scored = score_video(run, video(tmp_path / "out.mp4", larger), COUNT)
    assert scored.values["edge_f1"] == 0.0  # no edge was asked for, and some were made
    assert "blur_ssim" not in scored.values
    assert scored.frames == COUNT


def test_a_picture_has_no_scores_of_time(tmp_path: Path) -> None:
    picture = moving_square()[0]
    for name in ("in.png", "out.png"):
        write_picture(tmp_path / name, picture)
    run = Run(id="a", prompt="a", video=str(tmp_path / "in.png"), controls=(Control(name="vis", weight=1.0),))
    scores = score_video(run, tmp_path / "out.png", 1).values
    assert sorted(scores) == ["black", "blur_ssim", "edge_f1", "noise"]


def test_a_span_of_a_longer_video_is_the_reference(tmp_path: Path) -> None:
    longer = np.concatenate([np.zeros((3, SIDE, SIDE, 3), np.uint8), moving_square()])
    span = f"{video(tmp_path / 'in.mp4', longer)}#frames=3+{COUNT}"
    run = Run(id="a", prompt="a square", video=span, controls=(Control(name="edge", weight=1.0),))
    assert score_video(run, video(tmp_path / "out.mp4", moving_square()), COUNT).values["edge_f1"] == 1.0
