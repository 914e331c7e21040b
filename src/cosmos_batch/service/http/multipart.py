"""Streaming multipart parser: unlike Starlette's `request.form()`, it hashes files while they are received.

Fields go to memory, files to a part file in the folder of uploads, so that storing an upload of gigabytes is a
rename. Starlette's parser spools files to the temporary folder: an upload would be written, read and copied.
"""

from __future__ import annotations

import asyncio
import hashlib
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
from cosmos_batch.formats.json_text import DuplicateKeyError, MalformedJsonError, parse_json, text_fault
from cosmos_batch.media.atomic import PART
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.http.json_body import refuse_unstorable

FIELD_BYTES = 1 << 20  # of a field that is not a file
MAX_PARTS = 200
HEADER_BYTES = 16 * 1024  # of the headers of one part
_WRITE_BYTES = 1 << 20  # buffered before a write
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_DEPTH = 8  # of bracketed keys


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A received file, under a temporary name until `Uploads.keep` or `Form.discard`."""

    path: Path
    filename: str  # the client's name for it: only shown
    bytes: int
    sha256: str


@dataclass(slots=True)
class Form:
    """A complete form."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, ReceivedFile]] = field(default_factory=list)

    def discard(self) -> None:
        """Delete the files that were not kept."""
        for _, file in self.files:
            file.path.unlink(missing_ok=True)


async def read_form(content_type: str, chunks: AsyncIterator[bytes], folder: Path) -> Form:
    """Read a form, its files into `folder`. Raises ApiError for a malformed form, and StorageError."""
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise ApiError(400, "bad_form", "the multipart form has no boundary")
    reader = _FormReader(folder)
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
    """One part of a form, while it is received."""

    def __init__(self, disposition: bytes) -> None:
        """`disposition`: the value of its header Content-Disposition. Raises ApiError where it names no field."""
        _, options = parse_options_header(disposition)
        if b"name" not in options:
            raise ApiError(400, "bad_form", "a part of the form has no name")
        self.name = _text(options[b"name"], "the name of a field")
        self.filename = None
        if b"filename" in options:
            name = _text(options[b"filename"], f"the file name in the field {self.name[:80]!r}")
            self.filename = _last_part(name)
        self._buffer = bytearray()  # of a file: bytes not yet written
        self._bytes = 0
        self._digest = hashlib.sha256()
        self._path: Path | None = None
        self._stream: BinaryIO | None = None

    @property
    def text(self) -> str:
        """The value of a field. Raises ApiError for text that is not UTF-8."""
        return _text(self._buffer, f"the form's field {self.name[:80]!r}", self.name[:80])

    def append(self, data: bytes) -> None:
        """Buffer bytes. Raises ApiError for a field larger than `FIELD_BYTES`."""
        self._buffer += data
        self._bytes += len(data)
        if self.filename is None and len(self._buffer) > FIELD_BYTES:
            message = f"the form's field {self.name[:80]!r} is larger than {FIELD_BYTES:,} bytes"
            raise ApiError(413, "too_large", message, param=self.name[:80])

    def flush(self, folder: Path) -> Path:
        """Write the buffered bytes of a file to a part file in the folder. Raises OSError."""
        if self._stream is None or self._path is None:
            self._path = folder / f".{secrets.token_hex(12)}{PART}"
            self._stream = self._path.open("xb")
        self._stream.write(self._buffer)
        self._digest.update(self._buffer)
        self._buffer.clear()
        return self._path

    def finish(self, folder: Path) -> ReceivedFile:
        """Write the rest of a file and close it. Raises OSError."""
        path = self.flush(folder)
        self._close()
        return ReceivedFile(path, self.filename or "", self._bytes, self._digest.hexdigest())

    def abandon(self) -> None:
        """Close and delete the part file."""
        self._close()
        if self._path:
            self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._stream:
            self._stream.close()


class _FormReader:
    """Callbacks of the parser. Only `flush` and `abandon` do disk I/O."""

    def __init__(self, folder: Path) -> None:
        self.form = Form()
        self.pending = 0  # bytes of files that are not yet written
        self.ended = False
        self._folder = folder
        self._part: _Part | None = None  # the part that is being received
        self._complete: list[_Part] = []  # files to finish at the next `flush`
        self._headers: dict[bytes, bytes] = {}
        self._header = (b"", b"")  # name and value, while they are received
        self._header_bytes = 0  # of the part's headers so far
        self._parts = 0

    def callbacks(self) -> Any:
        """The callbacks by the parser's names."""
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
        self._headers, self._header_bytes = {}, 0

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        name, value = self._header
        self._header = (name + data[start:end], value)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        name, value = self._header
        self._header = (name, value + data[start:end])

    def _count_header(self, count: int) -> None:
        self._header_bytes += count
        if self._header_bytes > HEADER_BYTES:
            raise ApiError(413, "too_large", f"a part of the form has more than {HEADER_BYTES:,} bytes of headers")

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[name.lower()] = value
        self._header = (b"", b"")

    def _headers_finished(self) -> None:
        self._part = _Part(self._headers.get(b"content-disposition", b""))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part is not None:
            self._part.append(data[start:end])
            self.pending += end - start if self._part.filename is not None else 0

    def _end(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        if part.filename is None:
            self.form.fields.append((part.name, part.text))
        else:
            self._complete.append(part)

    def _finish(self) -> None:
        self.ended = True

    def flush(self) -> None:
        """Write the buffered bytes of all files. Raises StorageError."""
        with folder_errors(self._folder):
            while self._complete:
                part = self._complete[0]
                self.form.files.append((part.name, part.finish(self._folder)))
                del self._complete[0]
            if self._part is not None and self._part.filename is not None:
                self._part.flush(self._folder)
        self.pending = 0

    def abandon(self) -> None:
        """Close and delete all files."""
        for part in (*self._complete, *([self._part] if self._part else [])):
            part.abandon()
        self.form.discard()


def nested(fields: list[tuple[str, str]], texts: Collection[str]) -> dict[str, Any]:
    """Convert the fields of a form to a JSON object: `a[b][c]=1` becomes {"a": {"b": {"c": 1}}}.

    A value that is valid JSON (a number, an object) is parsed. Any other value, and a field whose innermost name
    is among `texts`, is text. Raises ApiError for names that contradict each other.
    """
    made: dict[str, Any] = {}
    for name, text in fields:
        match = _KEY.fullmatch(name)
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])] if match else [name]
        if len(path) > _DEPTH:
            raise _bad_field(name, "is nested too deeply")
        _put(made, path, text if path[-1] in texts else _value(text, name), name)
    return made


def _put(made: dict[str, Any], path: list[str], value: Any, name: str) -> None:
    target = made
    for key in path[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise _bad_field(name, "is given in two ways")
    if path[-1] in target:
        raise _bad_field(name, "is given twice")
    target[path[-1]] = value


def _value(text: str, name: str) -> Any:
    """Parse a value that is JSON; any other is text. Raises ApiError for JSON that gives a key twice."""
    try:
        value = parse_json(text.encode())
    except DuplicateKeyError as exc:
        raise _bad_field(name, f"{exc.message}; {exc.remedy}") from exc
    except MalformedJsonError:
        return text
    refuse_unstorable(value)
    return value


def _text(raw: bytes | bytearray, what: str, param: str | None = None) -> str:
    """Decode a text of a form. Raises ApiError where it is not UTF-8 or cannot be stored."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as exc:
        message = f"{what} is not UTF-8 (byte {exc.start + 1} is {raw[exc.start]:#04x}); send it as UTF-8"
        raise ApiError(400, "bad_form", message, param=param) from exc
    if fault := text_fault(text):
        raise ApiError(400, "bad_form", f"{what} {fault}; leave it out", param=param)
    return text


def _last_part(name: str) -> str:
    """Return a file name without the folders before it, which are those of the client: `/` or `\\` ends each."""
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _bad_field(name: str, message: str) -> ApiError:
    return ApiError(400, "bad_form", f"the form's field {name[:80]!r} {message}", param=name[:80])
