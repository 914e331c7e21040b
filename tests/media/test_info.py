"""Number of frames and videos of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.errors import MediaError
from cosmos_batch.media.info import VideoInfo, frame_count, videos_of
from cosmos_batch.run import Control, GuidedGeneration, Run, Sampling

RUN = Run(
    id="r",
    prompt="snow",
    video="in.mp4",
    controls=(
        Control(name="depth", weight=0.5, video="depth.mp4", mask="mask.mp4"),
        Control(name="edge", weight=1),
        Control(name="seg", weight=0, video="unused.mp4"),
    ),
)


def facts(**frames: int) -> dict[str, VideoInfo]:
    return {f"{name.rstrip('_')}.mp4": VideoInfo(64, 48, count, 8.0) for name, count in frames.items()}


def test_videos_of_a_run_are_its_active_ones() -> None:
    assert videos_of(RUN) == ("in.mp4", "depth.mp4", "mask.mp4")


@pytest.mark.parametrize(
    ("asked", "lengths", "count"),
    [
        (None, {"in_": 20, "depth": 30, "mask": 40}, 20),  # as many as the shortest has
        (None, {"in_": 20, "depth": 15, "mask": 40}, 15),
        (None, {"in_": 20, "depth": 30, "mask": 12}, 12),
        (None, {"in_": 20, "depth": 30, "mask": 1}, 20),  # a single picture masks the whole video
        (10, {"in_": 20, "depth": 30, "mask": 40}, 10),  # as many as it asks for
        (20, {"in_": 20, "depth": 20, "mask": 20}, 20),
    ],
)
def test_frame_count(asked: int | None, lengths: dict[str, int], count: int) -> None:
    assert frame_count(replace(RUN, sampling=Sampling(num_frames=asked)), facts(**lengths)) == count


@pytest.mark.parametrize(("frames", "count"), [(12, 12), (1, 20)])
def test_mask_of_guided_generation_limits_as_other_masks_do(frames: int, count: int) -> None:
    run = replace(RUN, guided_generation=GuidedGeneration(mask="guide.mp4"))
    assert videos_of(run) == (*videos_of(RUN), "guide.mp4")
    assert frame_count(run, facts(in_=20, depth=30, mask=40, guide=frames)) == count


def test_control_shorter_than_num_frames_is_reported_with_both_lengths() -> None:
    run = replace(RUN, sampling=Sampling(num_frames=20))

    with pytest.raises(MediaError, match=r"depth\.mp4: run r asks for 20 frames and this video has 15"):
        frame_count(run, facts(in_=20, depth=15, mask=1))


def test_video_above_the_limit_needs_num_frames() -> None:
    with pytest.raises(MediaError, match="at most 5000; set num_frames"):
        frame_count(RUN, facts(in_=5001, depth=6000, mask=1))


def test_run_without_videos_has_no_length() -> None:
    run = Run(id="r", prompt="snow", controls=(Control(name="edge", weight=1),))

    with pytest.raises(MediaError, match="names no video"):
        frame_count(run, {})
