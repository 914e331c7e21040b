"""Made controls are made once, found again by content, and never believed when damaged."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cosmos_batch.errors import MediaError, StorageError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.controls.pixels import make_control
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.video import Frames, probe, read_frames, resized
from cosmos_batch.run import Control
from tests.support.clips import clip, moving

EDGE, VIS = Control(name="edge", weight=1), Control(name="vis", weight=1)
DEPTH, SEG = Control(name="depth", weight=1), Control(name="seg", weight=1)
SIZE = (32, 24)


class Oracle:
    """Knows depth and segments without a model, and counts how often it is asked."""

    identity = "oracle"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def depth(self, frames: Frames) -> NDArray[np.float32]:
        self.asked.append("depth")
        return frames[..., 0].astype(np.float32)

    def objects(self, frames: Frames, prompt: str) -> NDArray[np.bool_]:
        self.asked.append(prompt)
        bright = frames[..., 0] > 220
        return np.stack([bright]) if "box" in prompt else np.zeros((0, *bright.shape), np.bool_)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return clip(tmp_path / "in.mp4")


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture
def cache(tmp_path: Path, oracle: Oracle) -> ControlCache:
    return ControlCache(tmp_path / "cache", estimator=oracle)


def test_made_control_is_the_control_of_the_resized_video(cache: ControlCache, video: Path) -> None:
    made = cache.get_or_make(video, EDGE, count=4, size=SIZE)

    small = np.stack([resized(frame, SIZE) for frame in moving()[:4]])
    assert np.array_equal(read_frames(made), make_control("edge", small, "medium"))


def test_same_video_under_another_name_is_not_processed_again(
    cache: ControlCache, oracle: Oracle, video: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(video.read_bytes())

    first = cache.get_or_make(video, DEPTH, count=4, size=SIZE)
    second = cache.get_or_make(copy, DEPTH, count=4, size=SIZE)

    assert first == second
    assert oracle.asked == ["depth"]


def test_every_part_of_a_recipe_changes_the_entry(cache: ControlCache, video: Path) -> None:
    low = Control(name="edge", weight=1, preset="low")
    other_weight = Control(name="edge", weight=0.3)

    entries = [
        cache.get_or_make(video, EDGE, count=4, size=SIZE),
        cache.get_or_make(video, EDGE, count=5, size=SIZE),
        cache.get_or_make(video, EDGE, count=4, size=(40, 24)),
        cache.get_or_make(video, VIS, count=4, size=SIZE),
        cache.get_or_make(video, low, count=4, size=SIZE),
    ]

    assert len(set(entries)) == 5
    assert cache.get_or_make(video, other_weight, count=4, size=SIZE, prompt="x") == entries[0]


def test_changed_video_is_processed_again(cache: ControlCache, video: Path) -> None:
    before = cache.get_or_make(video, EDGE, count=4, size=SIZE)

    clip(video, frames=8)

    assert cache.get_or_make(video, EDGE, count=4, size=SIZE) != before


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), Path.unlink])
@pytest.mark.parametrize("suffix", [".mp4", ".sum"])
def test_damaged_entry_is_made_again(cache: ControlCache, video: Path, spoil: object, suffix: str) -> None:
    made = cache.get_or_make(video, EDGE, count=4, size=SIZE)
    good = made.read_bytes()

    spoil(made.with_suffix(suffix))  # type: ignore[operator]

    assert cache.get_or_make(video, EDGE, count=4, size=SIZE).read_bytes() == good


def test_concurrent_requests_make_a_control_once(tmp_path: Path, oracle: Oracle, video: Path) -> None:
    caches = [ControlCache(tmp_path / "cache", estimator=oracle) for _ in range(6)]

    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(lambda cache: cache.get_or_make(video, DEPTH, count=4, size=SIZE), caches))

    assert len(set(paths)) == 1
    assert oracle.asked == ["depth"]


def test_least_recently_used_entries_are_evicted(tmp_path: Path, video: Path) -> None:
    cache = ControlCache(tmp_path / "cache", max_bytes=1)
    old, used, new = (cache.get_or_make(video, EDGE, count=count, size=SIZE) for count in (1, 2, 3))
    left_over = tmp_path / "cache" / ".0123.part"
    left_over.touch()
    assert old.exists()  # its user may not have read it yet

    for path in (old, used, new, left_over):
        os.utime(path, (0, 0))
    cache.get_or_make(video, EDGE, count=2, size=SIZE)
    newest = cache.get_or_make(video, EDGE, count=4, size=SIZE)

    kept = {path.name for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"}
    assert kept == {used.name, newest.name, f"{used.stem}.sum", f"{newest.stem}.sum"}


def test_depth_is_made_by_the_estimator(cache: ControlCache, video: Path) -> None:
    made = read_frames(cache.get_or_make(video, DEPTH, count=2, size=SIZE))

    assert made.shape == (2, 24, 32, 3)
    assert made.min() < 10
    assert made.max() > 240


def test_seg_uses_the_controls_prompt_else_the_start_of_the_runs(
    cache: ControlCache, oracle: Oracle, video: Path
) -> None:
    named = Control(name="seg", weight=1, prompt="yellow box")
    prompt = "box " * 300

    seg = read_frames(cache.get_or_make(video, named, count=2, size=SIZE, prompt=prompt))
    cache.get_or_make(video, SEG, count=2, size=SIZE, prompt=prompt)

    assert oracle.asked == ["yellow box", " ".join(["box"] * 128)]
    assert len({tuple(pixel) for pixel in seg.reshape(-1, 3)}) == 2  # one object, on black


def test_mask_is_white_on_the_named_thing(cache: ControlCache, video: Path) -> None:
    made = read_frames(cache.get_or_make_mask(video, "box", count=2, size=(64, 48)))

    assert np.array_equal(made[..., 0] == 255, moving(2)[..., 0] > 220)


def test_nothing_found_is_an_error(cache: ControlCache, video: Path) -> None:
    with pytest.raises(MediaError, match="nothing that 'a whale' names was found"):
        cache.get_or_make(video, SEG, count=2, size=SIZE, prompt="a whale")


def test_control_that_cannot_be_derived_must_be_supplied(cache: ControlCache, video: Path) -> None:
    with pytest.raises(MediaError, match=r"control hdmap: .*supply its control video"):
        cache.get_or_make(video, Control(name="hdmap", weight=1), count=2, size=SIZE)


def test_missing_input_is_an_error(cache: ControlCache, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.mp4: cannot be read"):
        cache.get_or_make(tmp_path / "gone.mp4", EDGE, count=2, size=SIZE)


def test_impossible_folder_is_an_error(tmp_path: Path, video: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match="cannot keep made controls"):
        ControlCache(tmp_path / "file" / "cache").get_or_make(video, EDGE, count=2, size=SIZE)


def test_control_of_a_video_that_changes_meanwhile_is_not_kept(
    cache: ControlCache, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents, other = video.read_bytes(), clip(tmp_path / "other.mp4", frames=8).read_bytes()

    def replaced(path: str | Path) -> VideoInfo:
        video.write_bytes(other)
        return probe(path)

    monkeypatch.setattr("cosmos_batch.media.controls.cache.probe", replaced)
    with pytest.raises(MediaError, match="changed while it was read"):
        cache.get_or_make(video, EDGE, count=4, size=SIZE)
    monkeypatch.undo()

    video.write_bytes(contents)
    made = cache.get_or_make(video, EDGE, count=4, size=SIZE)

    assert made.with_suffix(".sum").exists()
