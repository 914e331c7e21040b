"""Files of a run, by their suffix and at their size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cosmos_batch.media.outputs import tag_output, write_frames
from cosmos_batch.media.pictures import read_texts
from cosmos_batch.media.video import probe, read_frames, read_metadata
from tests.support.clips import clip, moving


@pytest.mark.parametrize("size", [(100, 20), (32, 96), (64, 48)])
def test_picture_is_resized_as_nvidia_does(tmp_path: Path, size: tuple[int, int]) -> None:
    (picture,) = moving(1)
    write_frames(tmp_path / "a.png", [picture], 8.0, size=size)
    (found,) = read_frames(tmp_path / "a.png")
    expected = cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4)
    assert np.array_equal(found, expected if size != (64, 48) else picture)


def test_every_frame_of_a_video_is_resized(tmp_path: Path) -> None:
    write_frames(tmp_path / "a.mp4", moving(5), 8.0, size=(100, 20), metadata={"name": "text"})
    info = probe(tmp_path / "a.mp4")
    assert (info.width, info.height, info.frames, info.fps) == (100, 20, 5, 8.0)
    assert read_metadata(tmp_path / "a.mp4")["name"] == "text"


def test_copy_is_tagged_by_its_kind(tmp_path: Path) -> None:
    clip(tmp_path / "a.mp4")
    write_frames(tmp_path / "a.jpg", moving(1), 8.0)
    for name in ("mp4", "jpg"):
        tag_output(tmp_path / f"a.{name}", tmp_path / f"b.{name}", {"name": "text"})
    assert read_metadata(tmp_path / "b.mp4")["name"] == "text"
    assert read_texts(tmp_path / "b.jpg") == {"name": "text"}
