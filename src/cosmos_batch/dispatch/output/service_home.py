"""A service's folder: the ledger, the videos, and what its processes tell each other.

HOME/ledger.sqlite            the ledger, unless it is elsewhere
HOME/videos/                  an output folder: HOME/videos/<run>/output.mp4
HOME/workers/<n>.json         what worker n was at when it was last heard of
HOME/lock                     held by the one supervisor
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.dispatch.output.directory import LEDGER, folder_errors
from cosmos_batch.errors import StorageError


@dataclass(frozen=True, slots=True)
class ServiceHome:
    """Where things lie in a service's folder."""

    root: Path

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.root / LEDGER

    @property
    def videos(self) -> Path:
        """The output folder."""
        return self.root / "videos"

    def marker(self, number: int) -> Path:
        """A worker's black box."""
        return self.root / "workers" / f"{number}.json"

    def make(self) -> None:
        """Make the folders. Raises StorageError."""
        with folder_errors(self.root):
            (self.root / "workers").mkdir(parents=True, exist_ok=True)

    def lock(self) -> int:
        """Take the folder for this process; closing the handle that is returned gives it back.

        Raises StorageError where another process has it.
        """
        self.make()
        with folder_errors(self.root):
            handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            owner = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            message = f"the folder {self.root} is served by process {owner}; stop it, or choose another folder"
            raise StorageError(message) from exc
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        return handle
