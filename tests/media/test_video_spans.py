"""Spans of videos are read to the frame, from the middle of a file."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from cosmos_batch.errors import MediaError
from cosmos_batch.media.controls.cache import ControlCache
from cosmos_batch.media.video import Frames, frames_of, probe, read_frames
from cosmos_batch.run import Control
from tests.support.clips import clip, timed_clip

COUNT, BITS = 120, 7
OPEN_GROUPS = {"bf": "3", "x264-params": "open-gop=1:keyint=40"}  # frames that are stored after a later key frame


def numbered(path: Path, codec: str, options: dict[str, str]) -> Path:
    """A video of 30 frames per second, each of which shows its number as black and white bars."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 16 * BITS, 64, "yuv420p"
        for number in range(COUNT):
            bars = [255 * (number >> bit & 1) for bit in range(BITS)]
            row = np.repeat(np.array(bars, np.uint8), 16)
            picture = np.broadcast_to(row[None, :, None], (64, 16 * BITS, 3))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def numbers(frames: Frames) -> list[int]:
    """The numbers that the frames show."""
    middles = frames[:, 32, 8::16].mean(axis=-1) > 127
    return [int(sum(1 << bit for bit in range(BITS) if frame[bit])) for frame in middles]


@pytest.fixture(
    scope="module",
    params=[
        ("open.mp4", "libx264", OPEN_GROUPS),
        ("long.mp4", "libx264", {"g": "250"}),
        ("av1.mp4", "libsvtav1", {"g": "120", "preset": "12", "svtav1-params": "lp=1"}),
        ("long.mkv", "libx264", {"g": "250"}),
        ("short.avi", "libx264", {"g": "40", "bf": "2"}),
        ("short.ts", "libx264", {"g": "40"}),
    ],
    ids=lambda param: str(param[0]),
)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, codec, options = request.param
    return numbered(tmp_path_factory.mktemp("spans") / name, codec, options)


@pytest.mark.parametrize(("start", "count"), [(0, 2), (1, 1), (38, 5), (40, 2), (41, 3), (110, 10)])
def test_span_has_its_frames_alone(video: Path, start: int, count: int) -> None:
    wanted = read_frames(video)[start : start + count]
    by_number = f"{video}#frames={start}+{count}"
    by_time = f"{video}#t={start / 30:.3f},{(start + count) / 30:.3f}"

    assert np.array_equal(read_frames(by_number), wanted)
    assert np.array_equal(read_frames(by_time), wanted)
    assert numbers(wanted[:1]) == [start]
    info = probe(by_number)
    assert (info.frames, round(info.fps)) == (count, 30)
    assert probe(by_number, to_end=True) == info


def test_span_without_an_end_goes_to_the_end(video: Path) -> None:
    assert probe(f"{video}#frames=100+").frames == 20
    assert numbers(read_frames(f"{video}#t=3.9", count=2)) == [117, 118]


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ("#frames=6+1", "begins after its end: it has 6 frames"),
        ("#frames=4+3", "longer than the rest of the video: it has 6 frames"),
        ("#t=2", "begins after its end: it has 6 frames, of 0.75 s"),
        ("#t=0.5,1", "longer than the rest of the video"),
        ("#t=0.07,0.08", "no frame is shown within its span"),
    ],
)
def test_span_that_a_file_does_not_hold_is_an_error(tmp_path: Path, span: str, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        probe(f"{clip(tmp_path / 'a.mp4')}{span}")


def test_times_choose_frames_of_a_variable_rate(tmp_path: Path) -> None:
    path = timed_clip(tmp_path / "a.mp4", [0, 100, 140, 500, 540, 600])
    assert probe(f"{path}#t=0.5,0.6").frames == 2


def test_changed_file_is_indexed_again(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", frames=6)
    assert probe(f"{path}#frames=2+").frames == 4
    clip(path, frames=9)
    assert probe(f"{path}#frames=2+").frames == 7


def test_missing_file_of_a_span_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        next(frames_of(tmp_path / "none.mp4#frames=0+1"))


def test_controls_are_made_of_the_span(tmp_path: Path) -> None:
    path, cache = clip(tmp_path / "a.mp4", frames=6), ControlCache(tmp_path / "cache")
    edge = Control(name="edge", weight=1)
    whole = read_frames(cache.get_or_make(path, edge, count=6, size=(64, 48)))
    part = read_frames(cache.get_or_make(f"{path}#frames=3+2", edge, count=2, size=(64, 48)))
    assert np.array_equal(part, whole[3:5])
    assert not np.array_equal(part, whole[:2])
