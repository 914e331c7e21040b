"""Files of the server that a request may name: those in the allowed folders, after all links are resolved."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.errors import InputError, Problem
from cosmos_batch.formats.problems import printable

LISTED = 2000  # entries of a folder, at most


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """A file or folder in an allowed folder."""

    path: str
    name: str
    folder: bool
    bytes: int


class AllowedDirectories:
    """The folders whose files requests may name as inputs."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises InputError for a folder that does not exist."""
        problems = [
            Problem("", None, "--root", repr(str(folder)), "is not a folder", "name one that exists")
            for folder in folders
            if not folder.is_dir()
        ]
        if problems:
            raise InputError(problems)
        self.folders = tuple(dict.fromkeys(folder.resolve() for folder in folders))
        self._prefixes = tuple(f"{folder}/".replace("//", "/") for folder in self.folders)

    def resolve(self, text: str) -> Path | None:
        """Resolve a path to a readable file within an allowed folder, without links; None where there is none.

        A relative path is tried in every allowed folder. A file outside them is answered like a missing one,
        so that clients cannot probe the server's disk.
        """
        for folder in self.folders:
            try:
                # os.path: pathlib takes three times as long, for every submitted run
                path = os.path.realpath(os.path.join(folder, text), strict=True)  # noqa: PTH118
                regular = stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
            except (OSError, ValueError):  # missing, a loop of links, a NUL in its name
                continue
            if regular and path.startswith(self._prefixes) and os.access(path, os.R_OK):
                return Path(path)
        return None

    def entries(self, text: str) -> list[DirectoryEntry] | None:
        """List a folder, folders first, without hidden files; "" lists the allowed folders. None: unknown."""
        if not text:
            return [DirectoryEntry(str(folder), str(folder), True, 0) for folder in self.folders]
        try:
            folder = Path(text).resolve(strict=True)
            if not self._contains(folder) or not folder.is_dir():
                return None
            found = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")][:LISTED]
            entries = [self._entry(Path(entry.path)) for entry in found]
        except (OSError, ValueError, RuntimeError):
            return None
        return sorted((e for e in entries if e), key=lambda entry: (not entry.folder, entry.name))

    def parent(self, text: str) -> str | None:
        """Name the parent of a folder; "" where the parent is not within an allowed folder."""
        folder = Path(text).resolve()
        return str(folder.parent) if self._contains(folder.parent) else ""

    def _entry(self, path: Path) -> DirectoryEntry | None:
        """Describe a file; None for a link out of the allowed folders or a name that is not printable."""
        if not self._contains(path.resolve()) or printable(path.name) != path.name:
            return None
        found = path.stat()
        return DirectoryEntry(str(path), path.name, stat.S_ISDIR(found.st_mode), found.st_size)

    def _contains(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self.folders)
