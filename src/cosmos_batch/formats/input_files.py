"""Paths of input files: made absolute, and looked at once however many runs share them."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cosmos_batch.errors import Problem
from cosmos_batch.formats.problems import Location, printable

Faults = dict[str, str | None]
"""What is wrong with a file by its path, None where nothing is; shared by all files of a reading."""


_REDUNDANT = re.compile(r"//|/\.(?:/|$)|/$")  # what a Path leaves out
_PROMPT_BYTES = 100_000  # of a prompt's file; a prompt has at most as many characters


class PromptFault(NamedTuple):
    """Why a file gives no prompt."""

    message: str
    remedy: str


@dataclass(slots=True)
class Locator:
    """Resolves the paths of one file, and says what is wrong with what they lead to."""

    base: Path  # absolute folder that relative paths start from
    also: Path | None = None  # a second such folder, for files that the first lacks
    faults: Faults | None = None  # None: nothing is looked at
    _resolved: dict[str, str] = field(default_factory=dict)

    def resolve(self, text: str) -> str:
        """The absolute path, `~` expanded; ".." stays, because a link may stand before it."""
        known = self._resolved.get(text)
        if known is None:
            known = self._resolved[text] = self._located(text)
        return known

    def problem(self, place: Location, name: str, text: str) -> Problem | None:
        """What is wrong with the file that the field `name` names, if anything."""
        if self.faults is None:
            return None
        path = self.resolve(text)
        if path not in self.faults:
            self.faults[path] = _fault(path)
        fault = self.faults[path]
        return place.problem(name, fault, self._remedy(text), text) if fault else None

    def prompt(self, text: str) -> str | PromptFault:
        """The prompt that a text file holds, without the white space around it."""
        path = Path(self.resolve(text))
        fault = _fault(str(path))
        if fault:
            return PromptFault(fault, self._remedy(text))
        if path.stat().st_size > _PROMPT_BYTES:
            return PromptFault("is too large for a prompt", f"keep it below {_PROMPT_BYTES:,} bytes")
        try:
            return path.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:
            return PromptFault("is not UTF-8 text", "save it as UTF-8")
        except OSError as error:
            return PromptFault(f"cannot be read ({error.strerror})", "supply a file that can be read")

    def _located(self, text: str) -> str:
        if text.startswith("/") and not _REDUNDANT.search(text):
            return text  # as a Path would give it back
        path = _expanded(text)
        if self.also and not path.is_absolute() and not exists(self.base / path):
            second = self.also / path
            if exists(second):
                return str(second)
        return str(self.base / path)

    def _remedy(self, text: str) -> str:
        if _expanded(text).is_absolute():
            return "correct the path or supply the file"
        folders = f"{printable(str(self.base))}" + (f" and {printable(str(self.also))}" if self.also else "")
        return f"correct the path or supply the file; looked in {folders}"


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # the home of a user that does not exist: then ~name is an ordinary name
        return Path(text)


def exists(path: Path) -> bool:
    """Whether something is there; False for what can be no path."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _fault(path: str) -> str | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path object per path would cost more than the call
    except FileNotFoundError:
        return "does not exist"
    except (OSError, ValueError) as error:
        return f"cannot be looked at ({getattr(error, 'strerror', None) or error})"
    if stat.S_ISDIR(found.st_mode):
        return "is a folder, not a file"
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if not found.st_size:
        return "is an empty file"
    return None if os.access(path, os.R_OK) else "may not be read (no permission)"
