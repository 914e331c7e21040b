"""Traits of the engines that ship."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.controls import ControlName
from cosmos_batch.engines.inprocess.transfer25.traits import TRANSFER25
from cosmos_batch.engines.nvidia.cosmos3.traits import COSMOS3
from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1
from cosmos_batch.engines.resolutions import TRANSFER1_BUCKETS, nearest
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.equivalence import groups_of
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Control, Cosmos3Settings, Run, Sampling

ANY_RUN = Run(id="any", prompt="a street", controls=())


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
    assert TRANSFER1.chunks(ANY_RUN, frames) == transfer1
    assert TRANSFER25.chunks(ANY_RUN, frames) == transfer25


@pytest.mark.parametrize(
    ("signature", "chunk", "frames", "chunks", "latent_frames"),
    [
        ("edge", None, 121, 2, 24),  # 93 frames
        ("wsm", None, 101, 1, 26),  # 101 frames with this control alone
        ("edge", 121, 121, 1, 31),  # the clip's own length
        ("edge", 121, 122, 2, 31),
        ("edge", 30, 121, 4, 9),  # rounded up to 33
        ("edge", 189, 121, 1, 48),  # padded to the whole chunk
        ("edge", 5, 1, 1, 1),  # a picture
    ],
)
def test_chunks_of_cosmos3_have_the_length_that_the_run_asks_for(
    signature: ControlName, chunk: int | None, frames: int, chunks: int, latent_frames: int
) -> None:
    own = Cosmos3Settings(chunk_frames=chunk) if chunk else None
    run = replace(ANY_RUN, controls=(Control(name=signature, weight=1, video="/c.mp4"),), cosmos3=own)

    assert COSMOS3.chunks(run, frames) == chunks
    assert COSMOS3.tokens(run, Shape(1280, 720, frames)) == latent_frames * 80 * 45


def test_chunks_that_are_all_overlap_are_refused() -> None:
    control = Control(name="edge", weight=1, video="/c.mp4")
    run = replace(ANY_RUN, controls=(control,), cosmos3=Cosmos3Settings(chunk_frames=1))

    def refused(frames: int) -> list[str]:
        return [problem.field for problem in COSMOS3.objections(run, VideoInfo(1280, 720, frames, 24))]

    assert (refused(2), refused(1)) == (["chunk_frames"], [])


def test_cost_follows_the_own_chunk_length() -> None:
    controls = (Control(name="edge", weight=1, video="/c.mp4"),)
    runs = [
        replace(ANY_RUN, id=f"r{chunk}", controls=controls, cosmos3=Cosmos3Settings(chunk_frames=chunk))
        for chunk in (61, 121)
    ]
    facts = {"/c.mp4": VideoInfo(1280, 720, 121, 24)}

    short, long = (group.run_class.work for group in groups_of(runs, COSMOS3, facts))

    assert (short.steps, short.tokens) == (35 * 2, 16 * 80 * 45)
    assert (long.steps, long.tokens) == (35, 31 * 80 * 45)


@pytest.mark.parametrize(("overlap", "chunks"), [(None, 3), (0, 2), (1, 3), (2, 3)])
def test_chunks_of_a_run_that_chooses_its_conditional_frames(overlap: int | None, chunks: int) -> None:
    """NVIDIA's count: 1 + ceil((186 - 93) / (93 - n)) for n shared frames."""
    run = replace(ANY_RUN, sampling=Sampling(num_conditional_frames=overlap))

    assert TRANSFER25.chunks(run, 186) == chunks


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
    assert TRANSFER25.tokens(ANY_RUN, Shape(width, height, frames)) == tokens
