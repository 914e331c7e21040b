"""Edge and vis from pixels, the look of depth and of segments."""

from __future__ import annotations

import numpy as np
import pytest

from cosmos_batch.errors import MediaError
from cosmos_batch.media.controls.pixels import CANNY, coloured_masks, grey_depth, make_control
from cosmos_batch.media.video import Frames
from tests.support.clips import moving

PRESETS = list(CANNY)


def step(height: int) -> Frames:
    """One frame, black on its left and brighter by `height` on its right."""
    frames = np.zeros((1, 32, 32, 3), np.uint8)
    frames[:, :, 16:] = height
    return frames


# Sobel's response to a vertical step is four times its height, and Canny draws what exceeds the upper threshold.
@pytest.mark.parametrize(
    ("preset", "drawn", "not_drawn"),
    [("very_low", 14, 11), ("low", 27, 23), ("medium", 52, 48), ("high", 77, 73), ("very_high", 102, 98)],
)
def test_edge_is_drawn_from_the_threshold_of_its_preset(preset: str, drawn: int, not_drawn: int) -> None:
    assert make_control("edge", step(drawn), preset).any()  # type: ignore[arg-type]
    assert not make_control("edge", step(not_drawn), preset).any()  # type: ignore[arg-type]


def test_edges_are_white_on_black() -> None:
    made = make_control("edge", moving(), "medium")

    assert made.shape == moving().shape
    assert set(np.unique(made)) == {0, 255}


def test_stronger_blur_leaves_less_detail() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)

    detail = [np.abs(np.diff(make_control("vis", noise, preset).astype(int), axis=2)).mean() for preset in PRESETS]

    assert detail[0] > detail[2] > detail[4]


@pytest.mark.parametrize("preset", PRESETS)
def test_blur_keeps_a_uniform_picture_and_its_shape(preset: str) -> None:
    even = np.full((2, 5, 7, 3), (10, 128, 250), np.uint8)  # smaller than the factors by which it is shrunk

    assert np.array_equal(make_control("vis", even, preset), even)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["edge", "vis"])
@pytest.mark.parametrize("preset", PRESETS)
def test_equal_input_gives_equal_controls(name: str, preset: str) -> None:
    first = make_control(name, moving(2), preset)  # type: ignore[arg-type]
    make_control(name, moving(3), "high")

    assert np.array_equal(make_control(name, moving(2), preset), first)  # type: ignore[arg-type]


def test_other_controls_must_be_supplied() -> None:
    with pytest.raises(MediaError, match=r"control lidar: .*supply its control video"):
        make_control("lidar", moving(), "medium")


def test_depth_is_grey_over_the_whole_video() -> None:
    depth = np.stack([np.full((2, 2), value, np.float32) for value in (3.0, 5.0, 7.0)])

    grey = grey_depth(depth)

    assert [tuple(frame[0, 0]) for frame in grey] == [(0, 0, 0), (127, 127, 127), (255, 255, 255)]


def test_uniform_depth_is_black() -> None:
    assert not grey_depth(np.ones((2, 4, 4), np.float32)).any()


def test_small_objects_are_painted_over_large_ones_in_other_colours() -> None:
    masks = np.zeros((3, 1, 8, 8), np.bool_)
    masks[0, :, 2:4, 2:4] = True  # the small one, within
    masks[1, :, :6, :6] = True  # the large one
    masks[2, :, 7, 7] = True

    painted = coloured_masks(masks)[0]

    colours = {tuple(painted[place]) for place in [(2, 2), (0, 0), (7, 7), (7, 0)]}
    assert len(colours) == 4
    assert tuple(painted[7, 0]) == (0, 0, 0)  # where nothing is


def test_many_objects_have_many_colours() -> None:
    masks = np.eye(40, dtype=np.bool_).reshape(40, 1, 1, 40)

    assert len({tuple(pixel) for pixel in coloured_masks(masks)[0, 0]}) == 40
