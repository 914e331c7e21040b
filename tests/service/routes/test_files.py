"""/v1/files and /v1/roots."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.support.http_server import request


def upload(client: TestClient, data: bytes, name: str = "x.mp4", purpose: str = "user_data") -> Any:
    return client.post("/v1/files", files={"file": (name, data)}, data={"purpose": purpose})


def png(width: int, height: int, rows: int) -> bytes:
    """Make a PNG whose header claims a size, and whose data has this many black rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes((width * 3 + 1) * rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_uploaded_video_is_stored_and_described(client: TestClient, videos: Path) -> None:
    clip = (videos / "dock.mp4").read_bytes()
    made = upload(client, clip, name=r"..\home/<b>dock.txt").json()
    assert (made["object"], made["purpose"], made["bytes"]) == ("file", "user_data", len(clip))
    assert (made["width"], made["height"], made["frames"], made["fps"]) == (32, 32, 2, 8.0)
    assert made["filename"] == "<b>dock.txt"  # the last part, otherwise as given
    assert client.get(f"/v1/files/{made['id']}").json() == made
    content = client.get(f"/v1/files/{made['id']}/content")
    assert (content.content, content.headers["content-type"]) == (clip, "video/mp4")


def test_labels_are_stored_and_served(client: TestClient, tmp_path: Path) -> None:
    np.savez(tmp_path / "labels.npz", np.ones((3, 4, 6), np.uint8))
    data = (tmp_path / "labels.npz").read_bytes()
    made = upload(client, data, "labels.npz").json()
    assert (made["width"], made["height"], made["frames"], made["fps"]) == (6, 4, 3, 0.0)
    for query in ("", "?playable=true"):
        content = client.get(f"/v1/files/{made['id']}/content{query}")
        assert (content.content, content.headers["content-type"]) == (data, "application/octet-stream")


def test_equal_content_is_stored_once(client: TestClient, videos: Path, tmp_path: Path) -> None:
    clip = (videos / "dock.mp4").read_bytes()
    assert upload(client, clip, "a.mp4").json()["id"] == upload(client, clip, "b.mp4").json()["id"]
    assert len(list((tmp_path / "home" / "uploads").iterdir())) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no video or image"),
        (b"<html>", "no video or image"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "no video or image"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "no video or image"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(100), "cannot be opened"),
        (png(30_000, 30_000, 1), "30000x30000 pixels"),
        (png(8192, 8192, 1), "8192x8192 pixels"),
        (b"\x89PNG\r\n\x1a\n" + bytes(8), "without a header"),
    ],
)
def test_upload_that_is_not_a_video_is_refused(
    client: TestClient, tmp_path: Path, data: bytes, message: str
) -> None:
    answer = upload(client, data)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]
    assert str(tmp_path) not in answer.text
    assert not list((tmp_path / "home" / "uploads").iterdir())


def test_picture_is_decoded_no_larger_than_its_header_says(client: TestClient) -> None:
    made = upload(client, png(16, 16, 400_000)).json()  # 20 MB of zeros in 20 kB
    assert (made["width"], made["height"]) == (16, 16)


@pytest.mark.parametrize(
    ("fields", "files", "field"),
    [
        ({"purpose": "fine-tune"}, {"file": b"x"}, "purpose"),
        ({"purpose": "batch"}, {"other": b"x"}, "file"),
        ({"purpose": "batch"}, {"file": b"x", "more": b"y"}, "file"),
    ],
)
def test_bad_form_is_refused(
    client: TestClient, fields: dict[str, str], files: dict[str, bytes], field: str
) -> None:
    answer = client.post("/v1/files", data=fields, files=files)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


def test_files_are_listed_by_page_and_purpose(client: TestClient, videos: Path) -> None:
    ids = [upload(client, f"{n}".encode(), "b.jsonl", "batch").json()["id"] for n in range(3)]
    clip = upload(client, (videos / "dock.mp4").read_bytes()).json()["id"]
    first = client.get("/v1/files", params={"limit": 2, "order": "asc"}).json()
    rest = client.get("/v1/files", params={"limit": 2, "order": "asc", "after": first["last_id"]}).json()
    assert [each["id"] for each in first["data"] + rest["data"]] == [*ids, clip]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    listed = client.get("/v1/files", params={"purpose": "user_data"}).json()["data"]
    assert [each["id"] for each in listed] == [clip]


def test_file_is_deleted_only_if_no_run_needs_it(client: TestClient, videos: Path, tmp_path: Path) -> None:
    file_id = upload(client, (videos / "dock.mp4").read_bytes()).json()["id"]
    client.post("/v1/videos", json=request(file_id, id="r"))
    assert client.delete(f"/v1/files/{file_id}").status_code == 409
    client.post("/v1/videos/r/cancel")
    assert client.delete(f"/v1/files/{file_id}").json()["deleted"] is True
    assert client.get(f"/v1/files/{file_id}").status_code == 404
    assert client.post("/v1/videos", json=request(file_id)).status_code == 400
    assert not list((tmp_path / "home" / "uploads").iterdir())


def test_only_folders_within_the_roots_are_listed(client: TestClient, videos: Path, tmp_path: Path) -> None:
    (videos / "inner").mkdir()
    (videos / ".hidden").mkdir()
    (videos / "out").symlink_to(tmp_path)
    (videos / "gone").symlink_to(tmp_path / "nowhere")
    assert [each["path"] for each in client.get("/v1/roots").json()["data"]] == [str(videos)]
    listed = client.get("/v1/roots", params={"path": str(videos)}).json()
    assert [(each["name"], each["folder"]) for each in listed["data"]] == [("inner", True), ("dock.mp4", False)]
    assert listed["parent"] == ""
    assert client.get("/v1/roots", params={"path": str(videos / "inner")}).json()["parent"] == str(videos)
    for path in (str(tmp_path), str(videos / "out"), "/etc", str(videos / "dock.mp4")):
        assert client.get("/v1/roots", params={"path": path}).status_code == 404, path
    assert client.get("/v1/roots", params={"path": "\0"}).status_code == 400
