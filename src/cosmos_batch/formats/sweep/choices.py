"""What a sweep varies: axes, and the choices of each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from cosmos_batch.formats.ids import valid_id

_LONGEST_NAME = 40  # characters of a name that is made of a prompt


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of an axis, or of several that are zipped."""

    words: Mapping[str, str]  # placeholders that it gives a value
    fields: Mapping[str, object]  # fields of a run: "prompt", "inputs.video", "weights", "settings.num_steps"
    paths: Mapping[str, str]  # of each field, its place in the sweep

    def beside(self, other: Choice) -> Choice:
        """This choice with another one."""
        return Choice(
            {**self.words, **other.words}, {**self.fields, **other.fields}, {**self.paths, **other.paths}
        )


@dataclass(frozen=True, slots=True)
class Axis:
    """A part of a sweep that varies."""

    name: str  # the key of the sweep: "videos", "num_steps"
    choices: Sequence[Choice]
    id_part: str = ""  # of the usual id, with placeholders; "": none
    id_words: frozenset[str] = field(default_factory=frozenset)  # placeholders by which its choices differ


def name_of_prompt(prompt: str) -> str:
    """A name that a prompt without one gets: its words, cut with a digest where they are many."""
    words = re.sub(r"[^a-z0-9]+", "-", prompt.casefold()).strip("-")
    if words and len(words) <= _LONGEST_NAME:
        return words
    start = words[:_LONGEST_NAME].rsplit("-", 1)[0]
    return f"{start or 'prompt'}-{digest(prompt)[:6]}"


def digest(value: object) -> str:
    """A short digest of a JSON value."""
    return blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=5).hexdigest()


def word(value: object) -> str:
    """A value as a placeholder shows it."""
    match value:
        case str():
            return value
        case int() if type(value) is int:  # not true or false
            return str(value)
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case _:
            return json.dumps(value)


def id_word(text: str) -> str:
    """A word as part of an id."""
    return text if _PLAIN.fullmatch(text) else valid_id(text)


_PLAIN = re.compile(r"[A-Za-z0-9._-]*")
