"""Folder of a service: the ledger, the videos, the in-flight markers of its workers.

HOME/ledger.sqlite            the ledger, unless it is elsewhere
HOME/videos/                  an output folder: HOME/videos/<run>/output.mp4
HOME/workers/<n>.json         in-flight marker of worker n
HOME/lock                     held by the supervisor
"""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.dispatch.output.directory import LEDGER, folder_errors
from cosmos_batch.dispatch.output.lock_file import LockFile


@dataclass(frozen=True, slots=True)
class ServiceHome:
    """Paths in the folder of a service."""

    root: Path

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.root / LEDGER

    @property
    def id(self) -> str:
        """The id of the service in a ledger that several services share: a digest of its machine and folder."""
        return hashlib.sha256(f"{socket.gethostname()}:{self.root.absolute()}".encode()).hexdigest()[:32]

    @property
    def videos(self) -> Path:
        """The output folder."""
        return self.root / "videos"

    def marker(self, number: int) -> Path:
        """The in-flight marker of worker `number`."""
        return self.root / "workers" / f"{number}.json"

    def markers(self) -> list[Path]:
        """The in-flight markers that there are, also those of workers that are not started any more."""
        return sorted((self.root / "workers").glob("*.json"))

    def make(self) -> None:
        """Create the folders. Raises StorageError."""
        with folder_errors(self.root, opening=True):
            (self.root / "workers").mkdir(parents=True, exist_ok=True)

    def lock(self) -> LockFile:
        """Lock the folder for this process. Raises StorageError where another process has locked it."""
        self.make()
        with folder_errors(self.root):
            state = f"the folder {self.root} is served by"
            return LockFile(self.root / "lock", state, "stop it, or choose another folder")
