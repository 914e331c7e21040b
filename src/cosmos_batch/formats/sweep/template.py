"""Texts with placeholders: `{video}` stands for a value of the run, `{{video}}` for the same word in braces.

Any other brace is text, so that a prompt may be JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PLACE = re.compile(r"\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)\}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Template:
    """A text in parts."""

    parts: tuple[tuple[str, bool], ...]  # text; whether it is the name of a placeholder
    names: tuple[str, ...]  # of its placeholders, each once

    @classmethod
    def of(cls, text: str) -> Template:
        """The template that a text describes."""
        parts: list[tuple[str, bool]] = []
        end = 0
        for match in _PLACE.finditer(text):
            literal = text[end : match.start()] + (f"{{{match[1]}}}" if match[1] else "")
            parts += [(literal, False)] if literal else []
            parts += [(match[2], True)] if match[2] else []
            end = match.end()
        parts += [(text[end:], False)] if text[end:] else []
        return cls(tuple(parts), tuple(dict.fromkeys(part for part, is_name in parts if is_name)))

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with the values in place. Raises KeyError for a placeholder without a value."""
        return "".join([values[part] if is_name else part for part, is_name in self.parts])
