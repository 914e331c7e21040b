"""Files of the server that a request may name: those in the configured folders, once every link is resolved."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.problems import printable

LISTED = 2000  # entries of a folder that are listed


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """What lies in a folder of a root."""

    path: str
    name: str
    folder: bool
    bytes: int


class AllowedDirectories:
    """The folders whose files may be named as inputs."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises InputError for a folder that is not there."""
        problems = [
            Problem("", None, "--root", repr(str(folder)), "is not a folder", "name one that exists")
            for folder in folders
            if not folder.is_dir()
        ]
        if problems:
            raise InputError(problems)
        self.folders = tuple(dict.fromkeys(folder.resolve() for folder in folders))
        self._insides = tuple(f"{folder}/".replace("//", "/") for folder in self.folders)

    def resolve(self, text: str) -> Path | None:
        """The file that a path means, all links resolved; None for what is no readable file within a root.

        A relative path is looked for in every root. What lies outside is answered like what is not there, so that
        nobody learns from the answer what the server's disk holds.
        """
        for folder in self.folders:
            try:
                # Not pathlib, which takes three times as long, for every run that is submitted
                path = os.path.realpath(os.path.join(folder, text), strict=True)  # noqa: PTH118
                regular = stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
            except (OSError, ValueError):  # not there, a loop of links, a NUL in its name
                continue
            if regular and path.startswith(self._insides) and os.access(path, os.R_OK):
                return Path(path)
        return None

    def entries(self, text: str) -> list[DirectoryEntry] | None:
        """What lies in a folder within a root, folders first; hidden files are left out. None: no such folder."""
        if not text:
            return [DirectoryEntry(str(folder), str(folder), True, 0) for folder in self.folders]
        try:
            folder = Path(text).resolve(strict=True)
            if not self._holds(folder) or not folder.is_dir():
                return None
            found = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")][:LISTED]
            entries = [self._entry(Path(entry.path)) for entry in found]
        except (OSError, ValueError, RuntimeError):
            return None
        return sorted((e for e in entries if e), key=lambda entry: (not entry.folder, entry.name))

    def parent(self, text: str) -> str | None:
        """The folder above, where that is within a root too; "" above a root."""
        folder = Path(text).resolve()
        return str(folder.parent) if self._holds(folder.parent) else ""

    def _entry(self, path: Path) -> DirectoryEntry | None:
        """None for what leads out of the roots, and for names that are no text."""
        if not self._holds(path.resolve()) or printable(path.name) != path.name:
            return None
        found = path.stat()
        return DirectoryEntry(str(path), path.name, stat.S_ISDIR(found.st_mode), found.st_size)

    def _holds(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self.folders)
