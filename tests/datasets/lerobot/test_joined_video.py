"""Videos are joined without encoding, each frame at its time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cosmos_batch.datasets.lerobot.joined_video import encoded_video, join_videos
from cosmos_batch.errors import MediaError
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.video import read_frames
from tests.support.clips import clip, moving, sound
from tests.support.lerobot_reader import frames_at


@pytest.mark.parametrize("rate", [Fraction(10), Fraction(30000, 1001), Fraction(30)])
def test_every_frame_is_there_at_its_time_bit_for_bit(rate: Fraction, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.mp4" for number in range(3)]
    for path, count in zip(paths, (1, 40, 6), strict=True):
        write_video(path, moving(count), 8)
    join_videos([encoded_video(path) for path in paths], tmp_path / "all.mp4", rate)
    expected = np.concatenate(
        [frames_at(path, [n / 8 for n in range(c)]) for path, c in zip(paths, (1, 40, 6), strict=True)]
    )
    assert (frames_at(tmp_path / "all.mp4", [float(number / rate) for number in range(47)]) == expected).all()
    assert len(read_frames(tmp_path / "all.mp4")) == 47


def test_videos_of_another_size_have_another_encoding(tmp_path: Path) -> None:
    same = (
        encoded_video(clip(tmp_path / "a.mp4", 3)).encoding == encoded_video(clip(tmp_path / "b.mp4", 5)).encoding
    )
    other = encoded_video(clip(tmp_path / "c.mp4", 3, width=80)).encoding
    assert same
    assert other != encoded_video(tmp_path / "a.mp4").encoding


def test_a_file_without_a_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"a\.mp4: no video in it"):
        encoded_video(sound(tmp_path / "a.mp4"))
    (tmp_path / "b.mp4").write_bytes(b"text")
    with pytest.raises(MediaError, match=r"b\.mp4: cannot be read as a video"):
        encoded_video(tmp_path / "b.mp4")
