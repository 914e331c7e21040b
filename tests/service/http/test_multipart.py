"""Streaming multipart parser."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.http.multipart import FIELD_BYTES, MAX_PARTS, Form, nested, read_form

TYPE = "multipart/form-data; boundary=x"


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    suffix = "" if filename is None else f'; filename="{filename}"'
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{suffix}\r\n\r\n'.encode() + data + b"\r\n"


def read(data: bytes, folder: Path, piece: int = 1000) -> Form:
    """Read a form that is received in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), piece):
            yield data[start : start + piece]

    return asyncio.run(read_form(TYPE, pieces(), folder))


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_files_are_hashed_and_fields_kept(tmp_path: Path, piece: int) -> None:
    video = bytes(range(256)) * 10
    form = read(part("purpose", b"batch") + part("file", video, "a/b.mp4") + b"--x--\r\n", tmp_path, piece)
    [(name, file)] = form.files
    assert form.fields == [("purpose", "batch")]
    assert (name, file.filename, file.bytes) == ("file", "b.mp4", len(video))
    assert (file.path.parent, file.path.read_bytes()) == (tmp_path, video)
    assert file.sha256 == hashlib.sha256(video).hexdigest()
    form.discard()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("/home/ann/clips/dock.mp4", "dock.mp4"),
        ("clips/dock.mp4", "dock.mp4"),
        (r"C:\\clips\\dock.mp4", "dock.mp4"),
        ("dock.mp4/", "dock.mp4"),
        ("..", ".."),
        ("/", ""),
    ],
)
def test_file_name_is_shown_without_folders(tmp_path: Path, given: str, name: str) -> None:
    form = read(part("file", b"x", given) + b"--x--\r\n", tmp_path)
    assert [file.filename for _, file in form.files] == [name]
    form.discard()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (part("file", b"cut short", "a.mp4"), 400),
        (part("file", b"data", "a.mp4") + part("text", bytes(FIELD_BYTES + 1)) + b"--x--\r\n", 413),
        (part("file", b"data", "a.mp4") * (MAX_PARTS + 1) + b"--x--\r\n", 413),
        (part("file", b"data", "a.mp4") + b"--x\r\n\r\nno name\r\n--x--\r\n", 400),
    ],
)
def test_refused_form_leaves_no_file(tmp_path: Path, data: bytes, status: int) -> None:
    with pytest.raises(ApiError) as refused:
        read(data, tmp_path)
    assert refused.value.status == status
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ([("a[b][c]", "1"), ("a[d]", "x")], {"a": {"b": {"c": 1}, "d": "x"}}),
        ([("prompt", "7"), ("count", "7")], {"prompt": "7", "count": 7}),
        ([("a", '{"b": [1]}')], {"a": {"b": [1]}}),
        ([("a]b[", "1")], {"a]b[": 1}),
    ],
)
def test_fields_are_nested_by_brackets(fields: list[tuple[str, str]], body: dict[str, Any]) -> None:
    assert nested(fields, {"prompt"}) == body


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([("a", "1"), ("a", "2")], "is given twice"),
        ([("a", "1"), ("a[b]", "2")], "is given in two ways"),
        ([("a" + "[b]" * 8, "1")], "is nested too deeply"),
    ],
)
def test_contradictory_fields_are_refused(fields: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        nested(fields, ())
