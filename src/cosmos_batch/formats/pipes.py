"""Opens files and pipes; a named pipe that nothing writes to is an error, and no wait without an end."""

from __future__ import annotations

import errno
import os
import select
import stat
from pathlib import Path
from typing import IO

WRITER_SECONDS = 10.0  # for which a named pipe may stay silent before its first byte


def open_bytes(path: Path, patience: float = WRITER_SECONDS) -> IO[bytes]:
    """Open a file, or a pipe once there is something in it. Raises OSError.

    A pipe without a name, as of a shell's `|` or `<(...)`, is read until its writer ends. A named one may have no
    writer, and opening it would wait for one.
    """
    if not _is_named_pipe(path):
        return path.open("rb")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
        if not poll.poll(patience * 1000):
            raise OSError(errno.ETIMEDOUT, f"nothing was written to this pipe in {patience:g} s")
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _is_named_pipe(path: Path) -> bool:
    """Whether a path leads to a pipe in a folder; /dev/stdin and /dev/fd/63 lead to pipes without a name."""
    try:
        return stat.S_ISFIFO(path.stat().st_mode) and Path(os.path.realpath(path)).exists()
    except OSError:
        return False
