"""Atomic replacement of files, and what the errors of a folder mean."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cosmos_batch.errors import StorageError

PART = ".part"
"""Suffix of a file that is still being written."""


_FAULTS = {
    errno.ENOSPC: ("is on a full disk", "free some space, then try again"),
    errno.EDQUOT: ("has reached its quota", "free some space, then try again"),
    errno.EROFS: ("cannot be written", "choose another, or make it writable"),
    errno.EACCES: ("cannot be written", "choose another, or make it writable"),
    errno.EPERM: ("cannot be written", "choose another, or make it writable"),
    errno.ENOENT: ("does not exist", "make it first"),
    errno.ENOTDIR: ("is not a folder", "choose another"),
    errno.EEXIST: ("is not a folder", "choose another"),
    errno.EIO: ("is on a disk that reports errors", "choose another"),
}


def describe_folder_error(error: OSError) -> str:
    """Describe what is wrong with a folder, as the predicate of a sentence, with the remedy and the cause."""
    state, remedy = _FAULTS.get(error.errno or 0, ("cannot be used", "choose another"))
    return f"{state}; {remedy} ({error.strerror or error})"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; on success flush that file to disk and rename it to `path`.

    On any failure nothing is left under the temporary name, and `path` is as before. A process that is killed may
    leave a file whose name begins with "." and ends with `PART`. Raises StorageError for a full disk, a missing or
    read-only folder, and every other OSError.
    """
    part = path.with_name(f".{secrets.token_hex(8)}{PART}")
    try:
        yield part
        flush(part)
        part.replace(path)
        flush(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: its folder {describe_folder_error(error)}") from error
    finally:
        with suppress(OSError):  # the file does not exist, or its file system refuses every call
            part.unlink()


def delete_parts(folder: Path) -> None:
    """Delete what killed processes have left in a folder that no other process writes. Raises OSError."""
    for part in folder.glob(f".*{PART}"):
        part.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Flush a file or folder to disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
