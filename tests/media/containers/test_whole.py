"""Files that are cut short, in every container that says how long it is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from cosmos_batch.errors import MediaError
from cosmos_batch.media.video import probe, read_frames
from tests.support.clips import moving

H264, GIF, APNG = ("libx264", "yuv420p"), ("gif", "rgb8"), ("apng", "rgb24")
VP8, WMV = ("libvpx", "yuv420p"), ("wmv2", "yuv420p")
DASH = {"movflags": "dash+global_sidx+frag_keyframe"}

CONTAINERS = [
    # file, muxer, (codec, pixels), options of the muxer
    ("a.mkv", "matroska", H264, {}),
    ("live.mkv", "matroska", H264, {"live": "1"}),  # of unknown size, and cut within a cluster
    ("a.webm", "webm", VP8, {}),
    ("a.avi", "avi", H264, {}),
    ("a.mov", "mov", H264, {}),
    ("fragments.mp4", "mp4", H264, {"movflags": "frag_every_frame+empty_moov"}),
    ("indexed.mp4", "mp4", H264, DASH),
    ("a.ts", "mpegts", H264, {}),
    ("a.m2ts", "mpegts", H264, {"mpegts_m2ts_mode": "1"}),
    ("a.flv", "flv", H264, {}),
    ("a.ogv", "ogg", VP8, {"page_duration": "1"}),
    ("a.wmv", "asf", WMV, {}),
    ("a.ivf", "ivf", VP8, {}),
    ("a.gif", "gif", GIF, {}),
    ("a.apng", "apng", APNG, {}),
]


def _written(path: Path, muxer: str, coding: tuple[str, str], options: dict[str, str]) -> bytes:
    """A video of 12 frames in a container."""
    with av.open(str(path), "w", format=muxer, options=options) as container:
        stream = container.add_stream(coding[0], rate=24, options={"g": "4", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, coding[1]
        for index, picture in enumerate(moving(12)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=coding[1])
            frame.pts, frame.time_base = index, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize(("name", "muxer", "coding", "options"), CONTAINERS)
def test_file_that_is_cut_between_frames_is_no_shorter_video(
    tmp_path: Path, name: str, muxer: str, coding: tuple[str, str], options: dict[str, str]
) -> None:
    path = tmp_path / name
    data = _written(path, muxer, coding, options)
    assert probe(path).frames == 12
    packets = (
        [data.index(bytes(packet)) for packet in _packets(path)] if coding is H264 and "ts" not in muxer else []
    )
    for size in [len(data) * part // 7 | 1 for part in range(3, 7)] + packets[6:]:
        path.write_bytes(data[:size])
        for read in (probe, read_frames):
            with pytest.raises(MediaError, match=rf"{name}: .*cut short"):
                read(path)


def _packets(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def test_fragments_that_are_missing_are_named_by_the_index(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    data = _written(path, "mp4", H264, DASH)
    path.write_bytes(data[: data.rindex(b"moof") - 4])  # between two fragments

    with pytest.raises(MediaError, match=r"cut short: its fragments take \d+ bytes, and it has"):
        probe(path)


def test_live_recording_without_a_size_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    data = _written(path, "matroska", H264, {"live": "1", "cluster_time_limit": "100"})
    cluster = bytes.fromhex("1f43b675")
    assert data.count(cluster) > 1
    path.write_bytes(data[: data.rindex(cluster)])  # it was stopped between two clusters

    assert 0 < probe(path).frames < 12


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 10**8])
def test_avi_with_all_its_frames_may_have_a_wrong_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.avi"
    data = _written(path, "avi", H264, {})
    path.write_bytes(data[:4] + size.to_bytes(4, "little") + data[8:])

    assert probe(path).frames == 12


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_picture_that_is_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    cv2.imwrite(str(path), noise)
    data = path.read_bytes()
    assert probe(path).frames == 1
    for part in range(1, 10):
        path.write_bytes(data[: len(data) * part // 10])
        with pytest.raises(MediaError, match=rf"a\.{suffix}: .*cut short"):
            probe(path)


def test_end_of_a_thumbnail_is_not_the_end_of_a_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), moving(1)[0])
    data = path.read_bytes()
    thumbnail = b"\xff\xe1" + (2 + len(data)).to_bytes(2) + data
    path.write_bytes(data[:2] + thumbnail + data[2:-2])

    with pytest.raises(MediaError, match="cut short: the mark of its end is missing"):
        probe(path)
    path.write_bytes(data[:2] + thumbnail + data[2:] + b"a camera's own data")
    assert probe(path).frames == 1
