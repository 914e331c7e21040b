"""Writing videos: what goes in comes back, whole or not at all."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.errors import MediaError, StorageError
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.video import Frames, probe, read_frames, read_metadata
from tests.support.clips import clip, moving


def test_lossless_pixels_read_back_exactly(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 33, 47, 3)).astype(np.uint8)

    write_video(tmp_path / "a.mp4", noise, 24, lossless=True)

    assert np.array_equal(read_frames(tmp_path / "a.mp4"), noise)


@pytest.mark.parametrize("size", [(64, 48), (63, 48), (64, 47), (63, 47)])
def test_every_size_is_kept_and_colours_stay_close(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = moving(5, *size)

    write_video(tmp_path / "a.mp4", frames, 8)

    assert (probe(tmp_path / "a.mp4").width, probe(tmp_path / "a.mp4").height) == size
    assert np.abs(read_frames(tmp_path / "a.mp4").astype(int) - frames).mean() < 3


@pytest.mark.parametrize("count", [1, 2, 17])
@pytest.mark.parametrize("fps", [8.0, 24, 29.97, Fraction(30000, 1001)])
def test_rate_and_count_are_kept(tmp_path: Path, count: int, fps: float | Fraction) -> None:
    write_video(tmp_path / "a.mp4", moving(count), fps)

    facts = probe(tmp_path / "a.mp4")

    assert facts.frames == count
    assert facts.fps == pytest.approx(float(fps), rel=1e-6)


@pytest.mark.parametrize("fps", [1 / 3600, 0.01, 1.5, 240, 480, 1000])
def test_extreme_rates_are_kept(tmp_path: Path, fps: float) -> None:
    write_video(tmp_path / "a.mp4", moving(5), fps)

    facts = probe(tmp_path / "a.mp4")

    assert (facts.frames, facts.fps) == (5, pytest.approx(fps, rel=1e-6))


@pytest.mark.parametrize("fps", [1 / 3600, 1, 8, 60, 240, 1000])
def test_quality_does_not_depend_on_the_rate(tmp_path: Path, fps: float) -> None:
    noise = np.random.default_rng(0).integers(0, 40, (30, 96, 160, 3)).astype(np.uint8)
    frames = moving(30, 160, 96) // 2 + noise
    write_video(tmp_path / "usual.mp4", frames, 24)
    write_video(tmp_path / "other.mp4", frames, fps)

    usual, other = read_frames(tmp_path / "usual.mp4"), read_frames(tmp_path / "other.mp4")

    assert np.array_equal(usual, other)


def test_metadata_reads_back(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving(2), 8, metadata={"some_key": "1f2e", "comment": "café ☕"})

    assert read_metadata(tmp_path / "a.mp4").items() >= {"some_key": "1f2e", "comment": "café ☕"}.items()


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, moving(), 8, metadata={"comment": "x"})

    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_other_memory_changes_no_byte(tmp_path: Path) -> None:
    """The pictures' rows are no multiple of what a processor with AVX-512 reads at once."""
    frames, dice, seen = moving(17, 160, 96), np.random.default_rng(0), set()
    for value in range(40):
        filled = [np.full(int(size), value, np.uint8) for size in dice.integers(1_000, 60_000, 400)]
        kept = filled[::7]
        del filled  # and what is left of it is where pictures will lie
        write_video(tmp_path / "a.mp4", frames, 8)
        seen.add((tmp_path / "a.mp4").read_bytes())
        del kept
    assert len(seen) == 1


def test_frames_may_come_one_by_one(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", iter(moving(3)), 8, lossless=True)

    assert np.array_equal(read_frames(tmp_path / "a.mp4"), moving(3))


def test_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    before = clip(tmp_path / "a.mp4").read_bytes()

    def breaking() -> Iterator[Frames]:
        yield from moving(3)
        raise RuntimeError("the sampler fell over")

    with pytest.raises(RuntimeError, match="fell over"):
        write_video(tmp_path / "a.mp4", breaking(), 8)

    assert (tmp_path / "a.mp4").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_full_disk_leaves_no_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 48, 64, 3)).astype(np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # the kernel refuses what lies beyond
    try:
        with pytest.raises(StorageError, match=r"a\.mp4: cannot be written"):
            write_video(tmp_path / "a.mp4", noise, 8, lossless=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "message"), [("missing", "its folder does not exist"), ("file", "its folder is not a folder")]
)
def test_missing_folder_is_a_storage_error(tmp_path: Path, folder: str, message: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match=message):
        write_video(tmp_path / folder / "a.mp4", moving(), 8)


def test_no_frames_are_no_video(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no frame to write"):
        write_video(tmp_path / "a.mp4", moving(0), 8)


@pytest.mark.parametrize(
    "frames",
    [moving(2).astype(np.float32), moving(2)[..., 0], [moving(1)[0], moving(1, 32, 32)[0]]],
)
def test_frames_of_another_type_are_a_value_error(tmp_path: Path, frames: Frames) -> None:
    with pytest.raises(ValueError, match="frame"):
        write_video(tmp_path / "a.mp4", frames, 8)
