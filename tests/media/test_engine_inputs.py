"""Inputs of an engine: every video of a run at one size and one length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cosmos_batch.errors import MediaError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.controls.pixels import make_control
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.engine_inputs import prepare_control, prepare_guided_mask, prepare_input, prepare_mask
from cosmos_batch.run import Control, GuidedGeneration, Run
from tests.support.clips import clip, moving

SIZE = (64, 48)


def run_of(control: Control, video: Path | None) -> Run:
    return Run(id="r", prompt="snow", video=str(video) if video else None, controls=(control,))


def test_input_is_cut_and_sized_or_absent(tmp_path: Path) -> None:
    edge = Control(name="edge", weight=1)

    frames = prepare_input(run_of(edge, clip(tmp_path / "in.mp4")), count=3, size=(32, 16))

    assert frames is not None
    assert frames.shape == (3, 16, 32, 3)
    assert prepare_input(run_of(edge, None), count=3, size=SIZE) is None


def test_control_is_made_if_none_is_given(tmp_path: Path) -> None:
    edge = Control(name="edge", weight=1, preset="low")
    run = run_of(edge, clip(tmp_path / "in.mp4"))

    made = prepare_control(run, edge, count=3, size=SIZE, cache=ControlCache(tmp_path / "cache"))

    assert np.array_equal(made, make_control("edge", moving()[:3], "low"))


def test_given_control_is_used_unchanged(tmp_path: Path) -> None:
    depth = Control(name="depth", weight=1, video=str(clip(tmp_path / "depth.mp4")))

    given = prepare_control(run_of(depth, None), depth, count=3, size=SIZE, cache=ControlCache(tmp_path / "cache"))

    assert np.array_equal(given, moving()[:3])
    assert not (tmp_path / "cache").exists()


def test_given_seg_keeps_its_colours_when_resized(tmp_path: Path) -> None:
    seg = Control(name="seg", weight=1, video=str(clip(tmp_path / "seg.mp4")))

    given = prepare_control(run_of(seg, None), seg, count=2, size=(23, 17), cache=ControlCache(tmp_path / "cache"))

    assert {tuple(p) for p in given.reshape(-1, 3)} <= {tuple(p) for p in moving(2).reshape(-1, 3)}


def test_control_shorter_than_the_run_is_an_error(tmp_path: Path) -> None:
    depth = Control(name="depth", weight=1, video=str(clip(tmp_path / "depth.mp4", frames=2)))

    with pytest.raises(MediaError, match=r"depth\.mp4: 3 frames are needed and it has 2"):
        prepare_control(run_of(depth, None), depth, count=3, size=SIZE, cache=ControlCache(tmp_path / "cache"))


def test_control_without_an_input_cannot_be_made(tmp_path: Path) -> None:
    edge = Control(name="edge", weight=1)

    with pytest.raises(MediaError, match="run r: no input video to make its edge from"):
        prepare_control(run_of(edge, None), edge, count=3, size=SIZE, cache=ControlCache(tmp_path / "cache"))


def test_mask_of_guided_generation_is_a_picture_or_labels(tmp_path: Path) -> None:
    half = np.zeros((48, 64, 3), np.uint8)
    half[:24] = 255
    cv2.imwrite(str(tmp_path / "half.png"), half)
    np.savez(tmp_path / "half.npz", np.where(half[..., 0] > 0, 5, 2)[None])
    run = run_of(Control(name="edge", weight=1), None)
    for mask, labels in (("half.png", None), ("half.npz", (5,))):
        own = GuidedGeneration(mask=str(tmp_path / mask), foreground_labels=labels)
        found = prepare_guided_mask(replace(run, guided_generation=own), count=3, size=SIZE)
        assert found is not None
        assert (found[:, : SIZE[1] // 2 - 1] == 1).all()
        assert (found[:, SIZE[1] // 2 + 1 :] == 0).all()
    assert prepare_guided_mask(run, count=3, size=SIZE) is None


def test_mask_is_read_or_absent(tmp_path: Path) -> None:
    cache = ControlCache(tmp_path / "cache")
    half = np.zeros((3, 48, 64, 3), np.uint8)
    half[:, :24] = 255
    write_video(tmp_path / "mask.mp4", half, 8)
    masked = Control(name="edge", weight=1, mask=str(tmp_path / "mask.mp4"), mask_prompt="not looked at")
    plain = Control(name="edge", weight=1)

    mask = prepare_mask(run_of(masked, None), masked, count=3, size=SIZE, cache=cache)

    assert mask is not None
    assert mask[:, :20].min() > 0.98
    assert mask[:, 28:].max() < 0.02
    assert prepare_mask(run_of(plain, None), plain, count=3, size=SIZE, cache=cache) is None
