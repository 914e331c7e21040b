"""Sizes and lengths that models have."""

from __future__ import annotations

import pytest

from cosmos_batch.engines.registry import profile, traits_of
from cosmos_batch.engines.resolutions import chunk_length, kept_size
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.equivalence import work_of
from cosmos_batch.run import Control, Run, Sampling


@pytest.mark.parametrize(
    ("given", "kept"),
    [((1920, 1080), (1920, 1080)), ((641, 481), (640, 480)), ((481, 640), (480, 640)), ((1, 3), (2, 2))],
)
def test_kept_size_is_even(given: tuple[int, int], kept: tuple[int, int]) -> None:
    assert kept_size(VideoInfo(*given, 1, 25.0)) == kept


@pytest.mark.parametrize(("frames", "length"), [(1, 1), (2, 93), (93, 93), (500, 93)])
def test_only_a_single_frame_is_shorter_than_a_chunk(frames: int, length: int) -> None:
    assert chunk_length(frames, 93) == length


@pytest.mark.parametrize("engine", ["transfer", "transfer25"])
def test_picture_costs_a_latent_frame(engine: str) -> None:
    traits, facts = traits_of(engine), VideoInfo(1280, 720, 1, 25.0)
    run = Run(id="a", prompt="p", video="/in.png", controls=(Control(name="edge", weight=1.0),))
    short = Run(id="b", prompt="p", video="/in.mp4", controls=run.controls, sampling=Sampling(num_frames=2))
    picture = work_of(run, traits.shape(run, facts), traits)
    video = work_of(short, traits.shape(short, VideoInfo(1280, 720, 2, 25.0)), traits)
    assert (picture.tokens, video.tokens) == (44 * 80, 24 * 44 * 80)
    cost = profile(engine, "h100")
    assert cost.run_seconds(picture) < cost.run_seconds(video) / 20
