"""The protocol of a store: files under keys, in a folder or in a bucket of an object store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a store."""

    key: str  # its path below the store's own, with slashes
    bytes: int
    modified: float | None  # seconds since 1970, by the store's clock; None: not known
    version: str  # differs where the contents do; "": not known


class Store(Protocol):
    """Files under keys. A file is written whole or not at all, and is seen by every reader once it is written.

    Any thread may call it. Every method raises StorageError where the store cannot be used, after some minutes of
    tries where it only does not answer.
    """

    @property
    def url(self) -> str:
        """The address of the store, without a slash at its end; of a folder, its absolute path."""

    def address(self, key: str) -> str:
        """The path or address by which runs name a file of the store."""

    def find(self, key: str) -> StoredFile | None:
        """Find a file; None where there is none."""

    def list(self, prefix: str) -> list[StoredFile]:
        """List the files whose keys begin with a prefix that ends with a slash, or "" for all, in order."""

    def read(self, key: str) -> bytes | None:
        """Read a small file; None where there is none."""

    def write(self, key: str, content: bytes) -> None:
        """Write a small file, in place of an earlier one."""

    def upload(self, source: Path, key: str) -> None:
        """Write a file with the contents of a local one, in place of an earlier one."""

    def download(self, key: str, target: Path) -> bool:
        """Copy a file to a local one; False where there is none."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete files; those that do not exist are passed over."""
