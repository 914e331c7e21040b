"""Videos of a run: read with the marks of their files, and read again where a file changes meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.engines.inprocess.io import input_videos
from cosmos_batch.engines.inprocess.io.input_videos import Videos, read_videos
from cosmos_batch.errors import MediaError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.info import file_mark
from cosmos_batch.run import ResolvedRun
from tests.support.tiny_model import make_run, write_clip


@pytest.fixture
def path(tmp_path: Path) -> str:
    return write_clip(tmp_path / "clip.mp4", 5)


@pytest.fixture
def cache(tmp_path: Path) -> ControlCache:
    return ControlCache(tmp_path / "controls")


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Calls a function between the reading of a run's videos and its end."""

    def hook(change: Callable[[], object]) -> None:
        read_once = input_videos._read_once

        def read(run: ResolvedRun, cache: ControlCache) -> Videos:
            videos = read_once(run, cache)
            change()
            return videos

        monkeypatch.setattr(input_videos, "_read_once", read)

    return hook


def test_marks_of_the_files_are_kept(path: str, cache: ControlCache) -> None:
    assert read_videos(make_run("a", path, {"edge": 1.0}, frames=5), cache).files == {path: file_mark(path)}


def test_file_that_changes_while_it_is_read_is_read_again(
    path: str, cache: ControlCache, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    run, changes = make_run("a", path, {"edge": 1.0}, frames=5), iter([1])
    before = read_videos(run, cache)
    meanwhile(lambda: [write_clip(Path(path), 5, seed) for seed in changes])

    after = read_videos(run, cache)

    assert after.files == {path: file_mark(path)}
    assert not np.array_equal(before.controls["edge"], after.controls["edge"])


def test_file_that_keeps_changing_is_refused(
    path: str, cache: ControlCache, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    def touch() -> None:
        with Path(path).open("ab") as stream:
            stream.write(b"\0")

    meanwhile(touch)

    with pytest.raises(MediaError, match=r"clip\.mp4: changes while it is read"):
        read_videos(make_run("a", path, {"edge": 1.0}, frames=5), cache)


def test_missing_file_is_named(path: str, cache: ControlCache) -> None:
    run = make_run("a", path, {"edge": 1.0}, frames=5)
    Path(path).unlink()

    with pytest.raises(MediaError, match=r"clip\.mp4: cannot be read"):
        read_videos(run, cache)
