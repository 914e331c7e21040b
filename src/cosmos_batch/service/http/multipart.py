"""multipart/form-data as it comes in: text into memory, files straight to the disk, hashed on the way."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from cosmos_batch.dispatch.output.directory import folder_errors
from cosmos_batch.service.http.errors import ApiError

FIELD_BYTES = 1 << 20  # of a field that is no file
MAX_PARTS = 200
_WRITE_BYTES = 1 << 20  # that are gathered before they are written
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_DEPTH = 8  # of bracketed keys


@dataclass(frozen=True, slots=True)
class Received:
    """A file that has come in, and lies under a name of its own until somebody takes it."""

    path: Path
    filename: str  # as the client calls it: shown, and used for nothing else
    bytes: int
    sha256: str


@dataclass(slots=True)
class Form:
    """A form that has come in whole."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, Received]] = field(default_factory=list)

    def discard(self) -> None:
        """Delete the files that nobody took."""
        for _, received in self.files:
            received.path.unlink(missing_ok=True)


async def read_form(content_type: str, chunks: AsyncIterator[bytes], folder: Path) -> Form:
    """Read a form, its files into `folder`. Raises Refusal for what is no form, and StorageError."""
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise ApiError(400, "bad_form", "the multipart form names no boundary")
    reader = _Reader(folder)
    try:
        with _form_errors():
            parser = MultipartParser(boundary, reader.callbacks())
        async for chunk in chunks:
            with _form_errors():
                parser.write(chunk)
            if reader.pending >= _WRITE_BYTES:
                await asyncio.to_thread(reader.flush)
        with _form_errors():
            parser.finalize()
        await asyncio.to_thread(reader.flush)
        if not reader.ended:
            raise ApiError(400, "bad_form", "the multipart form is cut short")
    except BaseException:
        reader.abandon()
        raise
    return reader.form


@contextmanager
def _form_errors() -> Iterator[None]:
    try:
        yield
    except (FormParserError, ValueError) as exc:
        raise ApiError(400, "bad_form", f"the multipart form cannot be read: {exc}") from exc


class _Part:
    """One part of a form, while it comes in."""

    def __init__(self) -> None:
        self.name = ""
        self.filename: str | None = None
        self.disposition = b""
        self.data = bytearray()  # not yet written, where it is a file
        self.ended = False
        self.path: Path | None = None
        self.stream: BinaryIO | None = None
        self.digest = hashlib.sha256()
        self.bytes = 0


class _Reader:
    """Gathers what the parser calls back with; touches the disk in `flush` alone."""

    def __init__(self, folder: Path) -> None:
        self.form = Form()
        self.pending = 0
        self.ended = False
        self._folder = folder
        self._part = _Part()
        self._open: list[_Part] = []
        self._header = b""
        self._value = b""
        self._parts = 0

    def callbacks(self) -> Any:
        """What the parser wants to be given."""
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise ApiError(413, "too_large", f"the form has more than {MAX_PARTS} parts")
        self._part = _Part()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._part.disposition = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._part.disposition)
        if b"name" not in options:
            raise ApiError(400, "bad_form", "a part of the form has no name")
        self._part.name = options[b"name"].decode("utf-8", "replace")
        if b"filename" in options:
            self._part.filename = options[b"filename"].decode("utf-8", "replace")
            self._open.append(self._part)

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        part.data += data[start:end]
        part.bytes += end - start
        if part.filename is not None:
            self.pending += end - start
        elif len(part.data) > FIELD_BYTES:
            message = f"the form's field {part.name[:80]!r} is larger than {FIELD_BYTES:,} bytes"
            raise ApiError(413, "too_large", message, param=part.name[:80])

    def _end(self) -> None:
        self._part.ended = True
        if self._part.filename is None:
            self.form.fields.append((self._part.name, self._part.data.decode("utf-8", "replace")))

    def _finish(self) -> None:
        self.ended = True

    def flush(self) -> None:
        """Write what has come in. Raises StorageError."""
        with folder_errors(self._folder):
            for part in self._open:
                self._write(part)
        self._open = [part for part in self._open if not part.ended]
        self.pending = 0

    def _write(self, part: _Part) -> None:
        if part.stream is None:
            part.path = self._folder / f".{secrets.token_hex(12)}.part"
            part.stream = part.path.open("xb")
        part.stream.write(part.data)
        part.digest.update(part.data)
        part.data.clear()
        if part.ended:
            part.stream.close()
            received = Received(
                part.path or self._folder, part.filename or "", part.bytes, part.digest.hexdigest()
            )
            self.form.files.append((part.name, received))

    def abandon(self) -> None:
        """Leave nothing behind."""
        for part in self._open:
            if part.stream:
                part.stream.close()
            if part.path:
                part.path.unlink(missing_ok=True)
        self.form.discard()


def nested(fields: list[tuple[str, str]], texts: Collection[str]) -> dict[str, Any]:
    """The fields of a form as the JSON object that they stand for: `a[b][c]=1` is {"a": {"b": {"c": 1}}}.

    A value is read as JSON where it is some (a number, an object), and is text elsewhere and always where the
    innermost name is among `texts`. Raises Refusal for names that contradict each other.
    """
    made: dict[str, Any] = {}
    for name, text in fields:
        match = _KEY.fullmatch(name)
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])] if match else [name]
        if len(path) > _DEPTH:
            raise _bad_field(name, "is nested too deeply")
        _put(made, path, text if path[-1] in texts else _value(text), name)
    return made


def _put(made: dict[str, Any], path: list[str], value: Any, name: str) -> None:
    place = made
    for key in path[:-1]:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise _bad_field(name, "is given in two ways")
    if path[-1] in place:
        raise _bad_field(name, "is given twice")
    place[path[-1]] = value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _bad_field(name: str, message: str) -> ApiError:
    return ApiError(400, "bad_form", f"the form's field {name[:80]!r} {message}", param=name[:80])
