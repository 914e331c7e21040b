"""Files that appear whole under their final name, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cosmos_batch.errors import StorageError

PART = ".part"
"""How the name of a file ends that is still being written."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; on success flush that file to disk and rename it to `path`.

    Whatever fails, nothing is left under the temporary name and `path` is as it was before. A process that is
    killed may leave a file whose name begins with "." and ends with `PART`. Raises StorageError for a full disk,
    a missing or read-only folder, and every other OSError.
    """
    part = path.with_name(f".{secrets.token_hex(8)}{PART}")
    try:
        yield part
        _flush(part)
        part.replace(path)
        _flush(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {_cause(error)}") from error
    finally:
        with suppress(OSError):  # nothing was written, or the whole file system refuses
            part.unlink()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cause(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "no space left on the disk; free some, or choose another folder"
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return "the folder is read-only; choose another, or allow writing to it"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "its folder does not exist; make it first"
    return error.strerror or str(error)
