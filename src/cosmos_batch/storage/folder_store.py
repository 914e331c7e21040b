"""A store in a folder, such as one that several machines share."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cosmos_batch.errors import StorageError
from cosmos_batch.media.atomic import PART, describe_folder_error, flush
from cosmos_batch.storage.store import StoredFile


class FolderStore:
    """Files of a folder; see `store.Store`."""

    def __init__(self, root: Path) -> None:
        """Make the folder where it is missing. Raises StorageError."""
        self._root = root.absolute()
        with self._errors():
            self._root.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """The folder's absolute path."""
        return str(self._root)

    def address(self, key: str) -> str:
        """The path of a file."""
        return str(self._root / key)

    def find(self, key: str) -> StoredFile | None:
        """Find a file."""
        path = self._root / key
        with self._errors():
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            version = f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"
            return None if path.is_dir() else StoredFile(key, found.st_size, found.st_mtime, version)

    def list(self, prefix: str) -> list[StoredFile]:
        """List the files of a folder and of those in it."""
        with self._errors():
            paths = sorted(path for path in (self._root / prefix).rglob("*") if not path.name.endswith(PART))
        found = (self.find(path.relative_to(self._root).as_posix()) for path in paths)
        return [file for file in found if file]

    def read(self, key: str) -> bytes | None:
        """Read a file."""
        with self._errors():
            try:
                return (self._root / key).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, key: str, content: bytes) -> None:
        """Write a file by a rename."""
        self._replace(key, lambda part: part.write_bytes(content))

    def upload(self, source: Path, key: str) -> None:
        """Copy a file, and rename the copy."""
        self._replace(key, lambda part: shutil.copyfile(source, part))

    def download(self, key: str, target: Path) -> bool:
        """Copy a file."""
        with self._errors():
            try:
                shutil.copyfile(self._root / key, target)
            except FileNotFoundError:
                return False
        return True

    def delete(self, keys: Iterable[str]) -> None:
        """Delete files, and the folders that become empty."""
        with self._errors():
            for key in keys:
                path = self._root / key
                path.unlink(missing_ok=True)
                with suppress(OSError):  # not empty, or the store's own
                    for parent in path.relative_to(self._root).parents[:-1]:
                        (self._root / parent).rmdir()

    def _replace(self, key: str, write: Callable[[Path], object]) -> None:
        path = self._root / key
        part = path.with_name(f".{secrets.token_hex(8)}{PART}")
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                write(part)
                flush(part)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
            flush(path.parent)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"the store {os.fspath(self._root)} {describe_folder_error(error)}") from error
