"""Traits of the engines that ship."""

from __future__ import annotations

import pytest

from cosmos_batch.engines.inprocess.transfer25.traits import TRANSFER25
from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1
from cosmos_batch.engines.resolutions import TRANSFER1_BUCKETS, nearest
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.traits import Shape


@pytest.mark.parametrize(
    ("width", "height", "bucket"),
    [
        (1920, 1080, (1280, 704)),
        (640, 480, (960, 704)),
        (500, 510, (960, 960)),
        (3, 4, (704, 960)),
        (1, 3, (704, 1280)),
    ],
)
def test_bucket_is_the_nearest_in_aspect(width: int, height: int, bucket: tuple[int, int]) -> None:
    assert nearest(TRANSFER1_BUCKETS, VideoInfo(width, height, 10, 24)) == bucket


@pytest.mark.parametrize(
    ("frames", "transfer1", "transfer25"), [(93, 1, 1), (94, 1, 2), (121, 1, 2), (122, 2, 2), (186, 2, 3)]
)
def test_chunks_of_a_long_video(frames: int, transfer1: int, transfer25: int) -> None:
    assert TRANSFER1.chunks(frames) == transfer1
    assert TRANSFER25.chunks(frames) == transfer25


@pytest.mark.parametrize(("overlap", "chunks"), [(None, 3), (0, 2), (1, 3), (2, 3)])
def test_chunks_of_a_run_that_chooses_its_conditional_frames(overlap: int | None, chunks: int) -> None:
    """NVIDIA's count: 1 + ceil((186 - 93) / (93 - n)) for n shared frames."""
    assert TRANSFER25.chunks(186, overlap) == chunks


@pytest.mark.parametrize(
    ("width", "height", "frames", "tokens"),
    [
        (320, 192, 29, 5_760),  # padded to 93 frames
        (320, 192, 93, 5_760),
        (832, 480, 93, 37_440),
        (1280, 704, 93, 84_480),
        (1280, 704, 200, 84_480),
    ],
)
def test_tokens_of_a_chunk(width: int, height: int, frames: int, tokens: int) -> None:
    assert TRANSFER25.tokens(Shape(width, height, frames)) == tokens
