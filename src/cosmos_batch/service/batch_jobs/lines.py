"""The lines of a batch file: `{"custom_id", "method": "POST", "url": "/v1/videos", "body": {...}}`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.json_text import MalformedJsonError, parse_json, unstorable_texts
from cosmos_batch.formats.problems import shown

_CUSTOM_ID_CHARS = 512
_SHOWN_FAULTS = 20  # texts of a line that cannot be stored
_KEYS = {"custom_id", "method", "url", "body"}


@dataclass(slots=True)
class BatchLine:
    """One line of a batch file."""

    number: int  # 1-based
    raw: bytes
    too_long: bool = False
    custom_id: str = field(default="", init=False)  # set by `request`

    def request(self, seen: dict[str, int], endpoint: str) -> dict[str, Any]:
        """Parse the line and return the body of its request. Raises InputError with every problem of the line.

        `seen`: the lines by custom id so far; the line's own is added.
        """
        record = self._record()
        problems = [
            self._problem("custom_id", record.get("custom_id"), message, remedy)
            for message, remedy in self._custom_id_problems(record.get("custom_id"), seen)
        ]
        for key, wanted in (("method", "POST"), ("url", endpoint)):
            if record.get(key) != wanted:
                problems.append(self._problem(key, record.get(key), f"is not {wanted}", f"write {wanted!r}"))
        body = record.get("body")
        if not isinstance(body, dict):
            problems.append(
                self._problem("body", body, "is not a JSON object", "write a request body of POST /v1/videos")
            )
        for key in record.keys() - _KEYS:
            problems.append(self._problem(str(key)[:80], None, "is not a known key", "leave it out"))
        if problems or not isinstance(body, dict):
            raise InputError(problems)
        return body

    def _custom_id_problems(self, value: object, seen: dict[str, int]) -> Iterator[tuple[str, str]]:
        if not isinstance(value, str) or not 0 < len(value) <= _CUSTOM_ID_CHARS or not value.isprintable():
            yield (
                "is missing or not printable text",
                f"give every line its own, of 1 to {_CUSTOM_ID_CHARS} characters",
            )
            return
        self.custom_id = value
        first = seen.setdefault(value, self.number)
        if first != self.number:
            yield f"is already used in line {first}", "give every line its own"

    def _record(self) -> dict[str, Any]:
        if self.too_long:
            raise InputError([self._problem("", None, "is too long", "split the file, or shorten the line")])
        try:
            record = parse_json(self.raw)
        except MalformedJsonError as exc:
            where = f" at column {exc.column}" if exc.column else ""
            raise InputError([self._problem("", None, exc.message + where, exc.remedy)]) from exc
        faults = islice(unstorable_texts(record), _SHOWN_FAULTS)
        remedy = "leave that character out"
        if problems := [self._problem(path, None, message, remedy) for path, message in faults]:
            raise InputError(problems)
        if not isinstance(record, dict):
            raise InputError([self._problem("", record, "is not a JSON object", "write one JSON object")])
        return record

    def _problem(self, name: str, value: object, message: str, remedy: str) -> Problem:
        return Problem("", self.number, name, "" if value is None else shown(value), message, remedy)


def lines_of(stream: BinaryIO, max_bytes: int) -> Iterator[BatchLine]:
    """Read the lines that are not blank. One longer than `max_bytes` is marked `too_long`, without its content."""
    number = 0
    while raw := stream.readline(max_bytes + 1):
        number += 1
        too_long = len(raw) > max_bytes and not raw.endswith(b"\n")
        while too_long and raw and not raw.endswith(b"\n"):
            raw = stream.readline(max_bytes)
        if too_long or raw.strip():
            yield BatchLine(number, b"" if too_long else raw, too_long)
