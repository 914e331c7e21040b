"""Reader of JSON for files and requests: refuses text that is not UTF-8, and keys that are given twice."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cosmos_batch.formats.problems import path_of, printable, shown

_REMEDY = "mend the JSON there"


class MalformedJsonError(Exception):
    """Text that is not JSON, or JSON that is refused."""

    def __init__(self, message: str, remedy: str, row: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.row = row  # of the fault, 1-based; 0: not known
        self.column = column


class DuplicateKeyError(MalformedJsonError):
    """An object that gives a key more than once."""


def parse_json(raw: bytes) -> object:
    """Parse the JSON value of UTF-8 bytes, in time linear in their number. Raises MalformedJsonError.

    NaN and Infinity are refused later, with the name of the field.
    """
    try:
        return _DECODER.decode(raw.decode())
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 (byte {error.start + 1} is {raw[error.start]:#04x})"
        raise MalformedJsonError(message, "save it as UTF-8") from error
    except json.JSONDecodeError as error:
        message = f"is not JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise MalformedJsonError(message, _REMEDY, error.lineno, error.colno) from error
    except RecursionError as error:
        raise MalformedJsonError("is nested too deeply", "a run has three levels") from error
    except ValueError as error:  # int() refuses thousands of digits
        raise MalformedJsonError("holds a number with too many digits", "shorten it") from error


def unstorable_texts(value: object) -> Iterator[tuple[str, str]]:
    """Find the texts, keys among them, that a database cannot store: the path of each, and what is wrong."""
    waiting: list[tuple[_Path, object]] = [((), value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, str):
            if fault := text_fault(item):
                yield _path_text(path), fault
        elif isinstance(item, list):
            waiting += [((path, index), each) for index, each in enumerate(item)][::-1]
        elif isinstance(item, dict):
            faults = [(key, fault) for key in item if (fault := text_fault(key))]
            yield from ((_path_text((path, key)), f"has a name that {fault}") for key, fault in faults)
            waiting += [((path, key), each) for key, each in item.items()][::-1]


_Path = tuple[()] | tuple["_Path", int | str]
"""A path as its parent and its last part, so that a deep one costs nothing to extend."""


def _path_text(path: _Path) -> str:
    parts: list[int | str] = []
    while path:
        path, part = path
        parts.append(part)
    return printable(path_of(parts[::-1]))


def text_fault(text: str) -> str:
    """Say why a database cannot store a text; "" where it can."""
    if "\0" in text:
        return "holds the character NUL"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds a lone surrogate, which is half of a character"
    return ""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise DuplicateKeyError(f"gives the key {shown(_repeated(pairs))} more than once", "keep one of them")
    return made


def _repeated(pairs: list[tuple[str, object]]) -> str:
    """Find the first key that an earlier pair has."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    return ""


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
