"""Lock file of a folder: held by one process, or shared by several, and naming the latest holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from filelock import lock_descriptor

from cosmos_batch.errors import StorageError


class LockFile:
    """A held lock file. The kernel releases the lock when the process ends, by any means; the file stays.

    `filelock.FileLock` would do for an exclusive lock, but not for a shared one; its `lock_descriptor` takes the
    same `flock` and leaves the file's text, which names the holder, as it is.
    """

    def __init__(self, path: Path, state: str, remedy: str, *, shared: bool = False) -> None:
        """Take the lock at once, and write this process's id into the file.

        Raises OSError, and StorageError "<state> process <id>; <remedy>" where another process holds the lock.
        `shared`: beside other holders of a shared lock.
        """
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not (_lock_shared(self._handle) if shared else lock_descriptor(self._handle, blocking=False)):
                owner = os.pread(self._handle, 32, 0).decode(errors="replace").strip() or "unknown"
                raise StorageError(f"{state} process {owner}; {remedy}")
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, str(os.getpid()).encode(), 0)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Release the lock."""
        os.close(self._handle)


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock file."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not lock_descriptor(handle, blocking=False)
    finally:
        os.close(handle)


def _lock_shared(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
