"""Locations and problems of records, and pydantic's errors as problems."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from pydantic_core import ErrorDetails

from cosmos_batch.errors import Problem
from cosmos_batch.formats.close_names import closest
from cosmos_batch.formats.field_rules import FieldRules
from cosmos_batch.formats.ids import valid_id

_FOUND_LENGTH = 60
_FIELD_LENGTH = 300  # characters of a field's dotted path, of which each part has at most 60
UNKNOWN_KEYS = 20  # unknown keys of one object that are named; the others are counted
_NOTHING = object()

_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is not a known key",
    "string_type": "is not text",
    "string_too_short": "is empty",
    "string_pattern_mismatch": "is not of the expected form",
    "string_unicode": "holds a lone surrogate, which is half of a character",
    "literal_error": "is not a known value",
    "float_type": "is not a number",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "finite_number": "is not a finite number",
    "greater_than": "is too small",
    "greater_than_equal": "is too small",
    "less_than": "is too large",
    "less_than_equal": "is too large",
    "dict_type": "is not an object",
    "model_type": "is not an object",
    "bool_type": "is not true or false",
}

_ID_FIELDS = (("id",), ("name",))


class Location(NamedTuple):
    """The location of a record: file, line, and path inside the file."""

    file: str = ""
    line: int | None = None
    within: str = ""  # for example "runs[2]"; "" where the file or the line is the record

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where} ({self.within})" if self.within else where

    def within_field(self, name: str) -> Location:
        """The location of a field of this record."""
        return self._replace(within=join_path(self.within, name))

    def problem(self, field: str, message: str, remedy: str, found: object = _NOTHING) -> Problem:
        """A problem of one field of this record; "" is the record itself."""
        return Problem(
            file=self.file,
            line=self.line,
            field=shortened(printable(join_path(self.within, field)), _FIELD_LENGTH),
            found="" if found is _NOTHING else shown(found),
            message=message,
            remedy=remedy,
        )

    def warning(self, field: str, message: str, remedy: str, found: object = _NOTHING) -> Problem:
        """A warning about one field of this record; the record is used all the same."""
        return replace(self.problem(field, message, remedy, found), level="warning")


def join_path(*names: str) -> str:
    """A dotted path of the names, without empty ones."""
    return ".".join(name for name in names if name)


def printable(text: str) -> str:
    """The text with control characters, and characters that cannot be encoded, as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shortened(text: str, length: int = _FOUND_LENGTH) -> str:
    """The text, cut to a length."""
    return text if len(text) <= length else text[: length - 1] + "…"


def shown(value: object) -> str:
    """A value as the file spells it, printable, at most about 60 characters."""
    match value:
        case str():
            text = json.dumps(value[: _FOUND_LENGTH + 1], ensure_ascii=False)
        case dict():
            text = "{" + ", ".join(f"{shortened(str(key))}: …" for key in islice(value, 8)) + "}"
        case list() | tuple():
            text = f"a list of {len(value)}"
        case None | bool():
            text = json.dumps(value)
        case float() if not math.isfinite(value):
            text = json.dumps(value)
        case int() if abs(value) >= 10**_FOUND_LENGTH:
            text = f"a number of {int(abs(value).bit_length() * math.log10(2)) + 1} digits"
        case int() | float():
            text = repr(value)
        case _:
            text = f"a {type(value).__name__}"
    return shortened(printable(text))


def path_of(loc: Sequence[int | str]) -> str:
    """The dotted path of a pydantic location, list indices as [n]."""
    path = ""
    for part in loc:
        name = f"[{part}]" if isinstance(part, int) else shortened(part)
        path += name if isinstance(part, int) or not path else f".{name}"
    return path


def from_pydantic(errors: Iterable[ErrorDetails], rules: FieldRules, location: Location) -> list[Problem]:
    """Pydantic's errors as problems, each with the values that the field accepts.

    Of the unknown keys of one object the first `UNKNOWN_KEYS` are named and the others counted, so that an answer
    is bounded whatever the input is.
    """
    details = list(errors)
    unknown = {error["loc"][:-1] for error in details if error["loc"][-1:] == ("[key]",)}
    of_object: Counter[tuple[int | str, ...]] = Counter()
    problems = []
    for error in details:
        if error["loc"] in unknown:
            continue
        if parent := _object_of_unknown(error):
            of_object[parent] += 1
            if of_object[parent] > UNKNOWN_KEYS:
                continue
        problems.append(_translate(error, rules, location))
    return problems + [
        unknown_keys_left(path_of(parent[1:]), count - UNKNOWN_KEYS, location)
        for parent, count in of_object.items()
        if count > UNKNOWN_KEYS
    ]


def unknown_keys_left(field: str, count: int, location: Location) -> Problem:
    """The problem of unknown keys that are not named one by one."""
    problem = location.problem(field, "hold nothing that is read", "remove them")
    return replace(problem, found=f"{count:,} more keys")


def _object_of_unknown(error: ErrorDetails) -> tuple[int | str, ...]:
    """The location of the object that an unknown key is in, after a first part that is no key; else nothing."""
    loc = error["loc"]
    if loc[-1:] == ("[key]",):
        return ("", *loc[:-2])
    return ("", *loc[:-1]) if error["type"] == "extra_forbidden" else ()


def _translate(error: ErrorDetails, rules: FieldRules, location: Location) -> Problem:
    kind, loc, value = error["type"], error["loc"], error["input"]
    if loc[-1:] == ("[key]",):
        kind, loc, value = "extra_forbidden", loc[:-1], _NOTHING
    if kind == "extra_forbidden":
        return location.problem(path_of(loc), _MESSAGES[kind], _known_instead(loc, rules), value)
    if kind == "missing":
        return location.problem(path_of(loc), _MESSAGES[kind], f"give {rules.expected(loc)}")
    if kind == "unsupported":
        return location.problem(path_of(loc), error["msg"], error["ctx"]["remedy"], value)
    message = _MESSAGES.get(kind) or error["msg"][:1].lower() + error["msg"][1:]
    if kind == "string_too_long":
        message = f"is {len(value):,} characters long"
    remedy = f"give {rules.expected(loc)}"
    if kind in ("float_type", "int_type") and isinstance(value, str):
        remedy += ", without quotes"
    if kind == "string_pattern_mismatch" and loc in _ID_FIELDS:
        remedy += f"; {valid_id(value)!r} would do"
    if kind == "literal_error" and (near := closest(str(value), rules.choices(loc))):
        remedy = f"did you mean {near!r}? {remedy}"
    return location.problem(path_of(loc), message, remedy, value)


def _known_instead(loc: Sequence[int | str], rules: FieldRules) -> str:
    *parents, key = loc
    known = rules.keys(parents)
    if parent := None if parents else rules.parent_of(str(key)):
        return f"put it into {parent}"
    if near := closest(str(key), known):
        return f"did you mean {near!r}?"
    return f"remove it; known here: {', '.join(known)}"
