"""Clips become a few upright JPEG pictures of moderate size."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

from cosmos_batch.errors import MediaError
from cosmos_batch.prompting.clips import LONGEST_SIDE, clip_of, pictures
from tests.support.clips import clip, moving


def decoded(url: str) -> np.ndarray:
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def test_pictures_are_spread_from_the_first_frame_to_the_last(tmp_path: Path) -> None:
    urls = pictures(clip_of(str(clip(tmp_path / "a.mp4", frames=7))), 3)
    assert len(urls) == 3
    for url, wanted in zip(urls, moving(7)[[0, 3, 6]], strict=True):
        assert np.abs(decoded(url).astype(int) - wanted).mean() < 6


def test_clip_shorter_than_asked_gives_every_frame(tmp_path: Path) -> None:
    assert len(pictures(clip_of(str(clip(tmp_path / "a.mp4", frames=2))), 8)) == 2


def test_large_frames_are_scaled_down_in_their_shape(tmp_path: Path) -> None:
    (url,) = pictures(clip_of(str(clip(tmp_path / "a.mp4", frames=1, width=1600, height=400))), 1)
    assert decoded(url).shape == (LONGEST_SIDE // 4, LONGEST_SIDE, 3)


def test_file_that_changed_after_its_digest_is_refused(tmp_path: Path) -> None:
    seen = clip_of(str(clip(tmp_path / "a.mp4", frames=6)))
    clip(tmp_path / "a.mp4", frames=6, width=96)
    with pytest.raises(MediaError, match="changed while it was read"):
        pictures(seen, 2)
