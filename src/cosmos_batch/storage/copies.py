"""Copies of inputs that lie elsewhere: fetched once, compared with their originals, evicted by last use."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

from filelock import FileLock

from cosmos_batch.addresses import WEB, copies_folder, copy_of, name_of, scheme_of
from cosmos_batch.errors import MediaError, StorageError
from cosmos_batch.media.atomic import PART, describe_folder_error, flush
from cosmos_batch.storage.bucket_store import BucketStore
from cosmos_batch.storage.store import StoredFile
from cosmos_batch.storage.web_files import WebFile

MAX_BYTES = 100 * 1024**3
"""Bytes of copies that are kept, unless the environment sets COSMOS_BATCH_COPIES_GIB."""

_LIMIT = "COSMOS_BATCH_COPIES_GIB"
_GRACE = 600.0  # seconds that a copy is kept after its last use: its reader may not have opened it yet
_FACTS = ".json"  # suffix of the file beside a copy that says what it is a copy of


class Original(Protocol):
    """The file that an address names."""

    def find(self) -> StoredFile | None:
        """Find its size and version; None where it does not exist."""

    def download(self, target: Path) -> bool:
        """Copy it to a local file; False where it does not exist."""


@dataclass(frozen=True, slots=True)
class _Object:
    """An object of a bucket."""

    store: BucketStore
    key: str

    def find(self) -> StoredFile | None:
        """Find the object."""
        return self.store.find(self.key)

    def download(self, target: Path) -> bool:
        """Download the object."""
        return self.store.download(self.key, target)


class Originals:
    """The files of addresses; the client of each bucket is opened once. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stores: dict[str, BucketStore] = {}

    def __call__(self, address: str) -> Original:
        """The file of an address. Raises MissingExtraError."""
        if scheme_of(address) in WEB:
            return WebFile(address)
        scheme, _, rest = address.partition("://")
        bucket, _, key = rest.partition("/")
        with self._lock:
            if bucket not in self._stores:
                self._stores[bucket] = BucketStore(f"{scheme}://{bucket}")
            return _Object(self._stores[bucket], key)


class Copies:
    """The copies of this user on this machine, which any number of processes share. Any thread may use it."""

    def __init__(self, originals: Callable[[str], Original] | None = None, max_bytes: int | None = None) -> None:
        """`max_bytes`: of all copies, except those used in the last ten minutes."""
        self._originals = originals or Originals()
        self._max_bytes = most_bytes() if max_bytes is None else max_bytes

    def fetch(self, address: str, *, check: bool = False) -> Path:
        """Get the copy of an address, downloaded where it is missing.

        `check`: also where the original has changed since. Raises MediaError where there is no such file,
        StorageError where its store or the disk cannot be used, and MissingExtraError.
        """
        path = copy_of(address)
        assert path is not None
        if not check and path.is_file():
            self._used(path)
            return path
        with self._held(path):
            known = _read_facts(path)
            original = self._originals(address)
            found = original.find()
            if found is None:
                path.unlink(missing_ok=True)
                raise MediaError(f"{address}: no such file; correct the address")
            if not (known and path.is_file() and found.version and known.get("version") == found.version):
                self._download(address, original, path, found)
            self._used(path)
        return path

    def _download(self, address: str, original: Original, path: Path, found: StoredFile) -> None:
        part = path.with_name(f".{secrets.token_hex(8)}{PART}")
        try:
            if not original.download(part):
                raise MediaError(f"{address}: no such file; correct the address")
            size = part.stat().st_size
            if found.bytes and size != found.bytes:
                raise StorageError(f"{address}: {size} bytes came of {found.bytes}; try again")
            if not size:
                raise MediaError(f"{address}: is an empty file; supply a video")
            flush(part)
            part.replace(path)
            facts = {"address": address, "name": name_of(address), "version": found.version, "bytes": size}
            _facts_of(path).write_text(json.dumps(facts), encoding="utf-8")
        finally:
            part.unlink(missing_ok=True)
        self._evict(path)

    def _used(self, path: Path) -> None:
        """Note the use of a copy beside it: a time of its own would make it another file to its readers."""
        with suppress(OSError):
            os.utime(_facts_of(path))

    @contextmanager
    def _held(self, path: Path) -> Iterator[None]:
        """Hold the lock of a copy, so that one process downloads it while others wait."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.parent / f".{path.stem}.lock"):
                yield
        except OSError as error:
            raise StorageError(f"the folder {copies_folder()} {describe_folder_error(error)}") from error

    def _evict(self, newest: Path) -> None:
        """Delete the copies that were not used for longest, above the bound."""
        aged = time.time() - _GRACE
        entries = []
        for facts in copies_folder().glob(f"??/*{_FACTS}"):
            with suppress(OSError):
                copy = facts.with_name(facts.name.removesuffix(_FACTS))
                entries.append((facts.stat().st_mtime, copy.stat().st_size, copy))
        total = sum(size for _, size, _ in entries)
        for used, size, copy in sorted(entries):
            if total <= self._max_bytes or used >= aged:
                return
            if copy != newest:
                copy.unlink(missing_ok=True)
                _facts_of(copy).unlink(missing_ok=True)
                total -= size


def most_bytes() -> int:
    """The bound of the copies, by the environment or the default."""
    try:
        return int(float(os.environ[_LIMIT]) * 1024**3)
    except (KeyError, ValueError, OverflowError):
        return MAX_BYTES


def _facts_of(copy: Path) -> Path:
    return copy.with_name(copy.name + _FACTS)


def _read_facts(copy: Path) -> dict[str, object]:
    try:
        found = json.loads(_facts_of(copy).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
