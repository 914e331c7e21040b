"""Resolves paths of input files, and checks each file once however many runs share it."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cosmos_batch.addresses import BUCKETS, WEB, is_address, scheme_of
from cosmos_batch.errors import Problem
from cosmos_batch.formats.json_text import text_fault
from cosmos_batch.formats.picture_folders import numbered_pictures
from cosmos_batch.formats.problems import Location, printable
from cosmos_batch.spans import file_of, split_span

FileFaults = dict[str, str | None]
"""The fault of a file by its path, None for a good one; shared by all input files."""


_REDUNDANT = re.compile(r"//|/\.(?:/|$)|/$")  # parts that a Path drops
_UNREAD = f"is an address of a kind that is not read; {', '.join((*BUCKETS, *WEB))} are"
_PROMPT_BYTES = 100_000  # of a prompt's file; a prompt has at most as many characters


class PromptFault(NamedTuple):
    """The reason why a file gives no prompt."""

    message: str
    remedy: str


@dataclass(slots=True)
class PathResolver:
    """Resolves the paths of one file, and reports the faults of the files that they name."""

    base: Path  # absolute; the folder that relative paths start from
    fallback: Path | None = None  # a second such folder, for files that are not in the first
    faults: FileFaults | None = None  # None: no file is checked
    _resolved: dict[str, str] = field(default_factory=dict)

    def resolve(self, text: str) -> str:
        """The absolute path, `~` expanded; ".." is kept, because a link may precede it."""
        known = self._resolved.get(text)
        if known is None:
            known = self._resolved[text] = self._resolve(text)
        return known

    def problem(self, location: Location, name: str, text: str) -> Problem | None:
        """The problem of the file that the field `name` names; None for a good file."""
        if self.faults is None:
            return None
        path = self.resolve(text)
        if path not in self.faults:
            self.faults[path] = None if is_address(path) else _fault(split_span(path)[0])
        fault = self.faults[path]
        if fault and scheme_of(text):
            fault = _UNREAD
        return location.problem(name, fault, self._remedy(text), text) if fault else None

    def prompt(self, text: str) -> str | PromptFault:
        """The prompt in a text file, without surrounding white space and with simple line ends."""
        read = self.text(text)
        if isinstance(read, PromptFault):
            return read
        return read.replace("\r\n", "\n").replace("\r", "\n").strip()

    def text(self, text: str) -> str | PromptFault:
        """The text of a small file, byte for byte."""
        path = Path(self.resolve(text))
        fault = "is an address, and only files are read here" if scheme_of(text) else _fault(str(path))
        if fault:
            return PromptFault(fault, self._remedy(text))
        if path.stat().st_size > _PROMPT_BYTES:
            return PromptFault("is too large for a prompt", f"keep it below {_PROMPT_BYTES:,} bytes")
        try:
            read = path.read_bytes().decode()
        except UnicodeDecodeError:
            return PromptFault("is not UTF-8 text", "save it as UTF-8")
        except OSError as error:
            return PromptFault(f"cannot be read ({error.strerror})", "supply a file that can be read")
        fault = text_fault(read)
        return PromptFault(fault, "save it as UTF-8 text") if fault else read

    def _resolve(self, text: str) -> str:
        if (text.startswith("/") and not _REDUNDANT.search(text)) or is_address(text):
            return text  # a Path would not change it, or would spoil it
        path = _expanded(text)
        if self.fallback and not path.is_absolute() and not exists(file_of(self.base / path)):
            second = self.fallback / path
            if exists(file_of(second)):
                return str(second)
        return str(self.base / path)

    def _remedy(self, text: str) -> str:
        if scheme_of(text):
            return "download the file, and give its path"
        if pictures := numbered_pictures(Path(self.resolve(text))):
            return f"make a video of its pictures: {pictures}"
        if _expanded(text).is_absolute():
            return "correct the path or supply the file"
        folders = f"{printable(str(self.base))}" + (
            f" and {printable(str(self.fallback))}" if self.fallback else ""
        )
        return f"correct the path or supply the file; looked in {folders}"


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # the user does not exist: ~name is an ordinary name
        return Path(text)


def exists(path: Path) -> bool:
    """Whether a path exists; False for an invalid path."""
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
