"""Parses files to records: JSON or JSONL by content, every syntax problem with its location."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from cosmos_batch.errors import Problem
from cosmos_batch.formats.json_text import MalformedJsonError, parse_json
from cosmos_batch.formats.pipes import open_bytes
from cosmos_batch.formats.problems import (
    UNKNOWN_KEYS,
    Location,
    printable,
    shortened,
    unknown_keys_left,
)
from cosmos_batch.run import Run

_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_LINE_SUFFIXES = (".jsonl", ".ndjson")
_YAML = re.compile(rb"\A\s*(#[^\n]*\n\s*)*(---|- |[A-Za-z_][\w-]*:(\s|\Z))")
_KEY_ENDS = (b'":', b" :", b"\t:", b"\n:", b"\r:")


class Record(NamedTuple):
    """One object of a file, not yet validated."""

    location: Location
    number: int | None  # its line, or its position in a list; None: the only record
    value: dict[str, object]


class ParsedRecord(NamedTuple):
    """A run that a fast reader made from its line."""

    location: Location
    run: Run


FastReader = Callable[[bytes, Location], Run | None]
"""Makes a run of a line that is certainly valid; None: the line is parsed in full."""


@dataclass(slots=True)
class RecordFile:
    """A file of records, which can be read several times."""

    path: Path
    display_name: str  # the path as the user gave it, printable
    _content: bytes | None = None  # in memory: of a pipe, which can be read only once, or of what was no file

    @property
    def is_yaml(self) -> bool:
        """Whether its content is YAML, and no JSON, which is YAML too."""
        try:
            with self._opened() as stream:
                head = stream.read(4096).removeprefix(_BOM)
                by_name = self.path.suffix.lower() in (".yaml", ".yml")
                return b"\0" not in head and bool(_YAML.match(head) or (by_name and head.lstrip()[:1] != b"{"))
        except OSError:
            return False

    def content(self) -> bytes:
        """The whole file. Raises OSError."""
        with self._opened() as stream:
            return stream.read()

    def records(self) -> Iterator[Record | Problem]:
        """Yield every record, or a problem in its place; a bad line does not hide later lines."""
        for item in self.records_or_runs(lambda _raw, _location: None):
            if not isinstance(item, ParsedRecord):
                yield item

    def records_or_runs(self, fast_reader: FastReader) -> Iterator[Record | Problem | ParsedRecord]:
        """Yield as `records` does, with a run for each line of JSONL of which `fast_reader` makes one."""
        try:
            with self._opened() as stream:
                yield from self._read(stream, fast_reader)
        except OSError as error:
            reason = printable(error.strerror or str(error))
            yield self._problem(f"cannot be read: {reason}", "name a JSON or JSONL file that exists")

    def _opened(self) -> IO[bytes]:
        if self._content is None:
            try:
                stream = open_bytes(self.path)
            except ValueError as error:  # a zero byte in the path
                raise FileNotFoundError(str(error)) from error
            if stream.seekable():
                return stream
            with stream:
                self._content = stream.read()
        return io.BytesIO(self._content)

    def _read(self, stream: IO[bytes], fast_reader: FastReader) -> Iterator[Record | Problem | ParsedRecord]:
        head = stream.read(4096)
        if fault := self._binary_problem(head):
            yield fault
            return
        stream.seek(0)
        if _is_lines(stream, self.path.suffix):
            stream.seek(0)
            yield from self._lines(stream, fast_reader)
        else:
            stream.seek(0)
            yield from self._document(stream.read())

    def _binary_problem(self, head: bytes) -> Problem | None:
        if head.startswith(_UTF16_BOMS):
            return self._problem("is UTF-16 text", "save it as UTF-8")
        if b"\0" in head:
            return self._problem("is not a text file", "name a JSON or JSONL file")
        return None

    def _lines(
        self, stream: Iterable[bytes], fast_reader: FastReader
    ) -> Iterator[Record | Problem | ParsedRecord]:
        empty = True
        for number, line in enumerate(stream, 1):
            raw = (line.removeprefix(_BOM) if number == 1 else line).rstrip()
            if raw:
                empty = False
                location = Location(self.display_name, number)
                run = fast_reader(raw, location)
                yield ParsedRecord(location, run) if run else _record(raw, location)
        if empty:
            yield self._problem("is empty", "give it at least one run")

    def _document(self, raw: bytes) -> Iterator[Record | Problem]:
        raw = raw.removeprefix(_BOM)
        if not raw.strip():
            yield self._problem("is empty", "give it at least one run")
            return
        try:
            value = parse_json(raw)
        except MalformedJsonError as error:
            yield self._malformed(error)
            return
        yield from self._records_of(value)

    def _malformed(self, error: MalformedJsonError) -> Problem:
        where = f" at line {error.row}, column {error.column}" if error.row else ""
        return self._problem(error.message + where, error.remedy)

    def _records_of(self, value: object) -> Iterator[Record | Problem]:
        location, within = Location(self.display_name), ""
        if isinstance(value, dict) and "runs" in value:
            yield from self._beside_runs(value, location)
            value, within = value["runs"], "runs"
        if within and not isinstance(value, list):
            yield location.problem(within, "is not a list", "give a list of runs in brackets", value)
        elif isinstance(value, dict):
            yield Record(location, None, value)
        elif isinstance(value, list):
            yield from self._items(value, location, within)
        else:
            yield location.problem("", "is not a run", "give an object or a list of objects", value)

    def _beside_runs(self, value: Mapping[str, object], location: Location) -> Iterator[Problem]:
        """Problems of the keys beside a list of runs."""
        others = [key for key in value if key != "runs"]
        for key in others[:UNKNOWN_KEYS]:
            remedy = "remove it, or put it into the runs: beside 'runs' nothing is read"
            yield location.problem(shortened(key), "is not a known key", remedy, value[key])
        if len(others) > UNKNOWN_KEYS:
            yield unknown_keys_left("", len(others) - UNKNOWN_KEYS, location)

    def _items(self, items: list[object], location: Location, within: str) -> Iterator[Record | Problem]:
        if not items:
            yield location.problem(within, "holds no runs", "give at least one run")
        for index, item in enumerate(items):
            here = location._replace(within=f"{within}[{index}]")
            if isinstance(item, dict):
                yield Record(here, index + 1, item)
            else:
                yield here.problem("", "is not an object", "write each run in braces", item)

    def _problem(self, message: str, remedy: str) -> Problem:
        return Location(self.display_name).problem("", message, remedy)


def _record(raw: bytes, location: Location) -> Record | Problem:
    try:
        value = parse_json(raw)
    except MalformedJsonError as error:
        where = f"{error.message} at column {error.column}" if error.column else error.message
        return location.problem("", where, error.remedy, raw[:400].decode("utf-8", "replace"))
    if not isinstance(value, dict):
        return location.problem("", "is not an object", "write one run in braces per line", value)
    return Record(location, location.line, value)


def _is_lines(stream: IO[bytes], suffix: str) -> bool:
    """Whether the stream holds one object per line; the name counts only where the content does not decide."""
    solid = (line for number, line in enumerate(stream) if line.strip() and (number or line != _BOM))
    first, second = next(solid, b"").removeprefix(_BOM).strip(), next(solid, b"")
    by_name = suffix.lower() in _LINE_SUFFIXES
    if not second:
        return by_name
    if _is_object(first):
        return True
    # The first line is malformed, or no object, or the start of a document of several lines.
    stream.seek(0)
    try:
        parse_json(stream.read().removeprefix(_BOM))
    except MalformedJsonError as error:
        closed = first.endswith((b"}", b"]")) or first.isalnum()
        return by_name or closed or (error.row <= 2 and _is_object(second))
    return False


def _is_object(raw: bytes) -> bool:
    try:
        return isinstance(parse_json(raw), dict)
    except MalformedJsonError:
        return False


def keys_are_unique(raw: bytes, keys: int) -> bool:
    """Whether JSON, of which a parser returned this number of keys, repeats none; False may be a false alarm.

    Every key has a colon, after its quote or white space: with no more colons than keys, no key was lost. Such a
    colon inside a text causes the false alarm.
    """
    return raw.count(b":") == keys or sum(map(raw.count, _KEY_ENDS)) == keys
