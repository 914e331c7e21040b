"""Previews of videos that browsers cannot play."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from starlette.testclient import TestClient

from cosmos_batch.errors import MediaError
from cosmos_batch.media.atomic import PART
from cosmos_batch.media.preview import write_preview
from cosmos_batch.media.video import encoding_of, probe
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.runs.previews import Previews
from tests.support.dispatch_world import make_input
from tests.support.http_server import request


@pytest.fixture
def odd(videos: Path) -> Path:
    """An MPEG-4 video of 33x47 pixels, which no browser plays."""
    path = videos / "odd.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 33, 47, "yuv420p"
        for shade in range(3):
            container.mux(stream.encode(VideoFrame.from_ndarray(np.full((47, 33, 3), 80 * shade, np.uint8))))
        container.mux(stream.encode(None))
    return path


def test_unplayable_video_is_copied_once(tmp_path: Path, odd: Path) -> None:
    previews = Previews(tmp_path / "previews")
    copy = previews.of(odd)
    assert (encoding_of(copy), encoding_of(odd)) == (("h264", "yuv420p"), ("mpeg4", "yuv420p"))
    facts = probe(copy)
    assert (facts.width, facts.height, facts.frames, facts.fps) == (32, 48, 3, 8)
    made = copy.stat().st_mtime_ns
    assert (previews.of(odd), copy.stat().st_mtime_ns) == (copy, made)
    odd.write_bytes(make_input(tmp_path / "other.mp4").read_bytes())
    assert previews.of(odd) == odd  # another video now


def test_playable_video_is_not_copied(tmp_path: Path, videos: Path) -> None:
    assert Previews(tmp_path / "previews").of(videos / "dock.mp4") == videos / "dock.mp4"


def test_long_video_is_copied_in_part(tmp_path: Path, odd: Path) -> None:
    write_preview(odd, tmp_path / "copy.mp4", most_frames=2)
    assert probe(tmp_path / "copy.mp4").frames == 2


def test_video_that_cannot_be_copied_is_an_error_with_its_cause(tmp_path: Path, odd: Path) -> None:
    data = odd.read_bytes()
    begin = data.index(b"mdat") + 4
    odd.write_bytes(data[:begin] + bytes(40) + data[begin + 40 :])
    previews = Previews(tmp_path / "previews")
    with pytest.raises(MediaError, match=r"odd\.mp4: (damaged|cannot be read)"):
        previews.of(odd)
    assert list((tmp_path / "previews").iterdir()) == []


def test_no_copy_is_begun_once_the_server_stops(tmp_path: Path, odd: Path) -> None:
    previews = Previews(tmp_path / "previews")
    previews.close()
    with pytest.raises(ApiError, match="the server stops") as refused:
        previews.of(odd)
    assert refused.value.status == 503


def test_leftovers_of_a_killed_process_are_deleted(tmp_path: Path, odd: Path) -> None:
    copy = Previews(tmp_path / "previews").of(odd)
    copy.with_name(f".0123{PART}").write_bytes(copy.read_bytes()[:100])
    Previews(tmp_path / "previews")
    assert list((tmp_path / "previews").iterdir()) == [copy]


def test_oldest_copy_is_deleted_first(tmp_path: Path, odd: Path) -> None:
    previews = Previews(tmp_path / "previews", kept=1)
    previews.of(odd)
    other = odd.with_name("other.mp4")
    other.write_bytes(odd.read_bytes())
    last = previews.of(other)
    assert list((tmp_path / "previews").iterdir()) == [last]


def test_inputs_and_uploads_are_served_as_copies(client: TestClient, odd: Path) -> None:
    weights = {"weights": {"edge": 1}, "resolution": "32"}
    made = client.post("/v1/videos", json=request("odd.mp4", id="r", execution_config=weights))
    assert made.json()["variants"] == ["input", "thumbnail"]
    sent = client.post("/v1/files", files={"file": odd.read_bytes()}, data={"purpose": "user_data"}).json()
    for place in ("/v1/videos/r/content?variant=input", f"/v1/files/{sent['id']}/content?"):
        assert client.get(place).content == odd.read_bytes()
        assert b"avc1" in client.get(f"{place}&playable=true").content
    still = client.get("/v1/videos/r/content?variant=thumbnail")
    assert (still.content[:4], still.headers["cache-control"]) == (b"\xff\xd8\xff\xe0", "no-cache")
