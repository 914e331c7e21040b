"""Contents of files: parts, and errors in the format of the API."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.http.file_content import FileContent


@pytest.fixture
def content(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(b"0123456789")
    return path


def test_part_of_a_file_is_sent(content: Path) -> None:
    client = TestClient(FileContent(content))
    assert client.get("/").content == b"0123456789"
    part = client.get("/", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")


@pytest.mark.parametrize(
    ("wanted", "status"), [("bytes=5-2", 400), ("bytes=", 400), ("lines=0-1", 400), ("bytes=10-", 416)]
)
def test_range_that_names_no_part_is_refused(content: Path, wanted: str, status: int) -> None:
    answer = TestClient(FileContent(content)).get("/", headers={"Range": wanted})
    assert (answer.status_code, answer.headers["content-range"]) == (status, "bytes */10")
    assert answer.json()["error"]["code"] == "bad_range"
    assert "it has 10 bytes" in answer.json()["error"]["message"]


def test_file_that_is_deleted_meanwhile_is_not_found(content: Path) -> None:
    client = TestClient(FileContent(content))
    content.unlink()
    with pytest.raises(ApiError, match="has just been deleted") as refused:
        client.get("/")
    assert refused.value.status == 404
