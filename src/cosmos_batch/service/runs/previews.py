"""Previews: H.264 copies of videos that browsers cannot play, such as HEVC, MPEG-4, AVI and 10-bit files."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from pathlib import Path

from cosmos_batch.dispatch.output.directory import folder_errors
from cosmos_batch.errors import MediaError
from cosmos_batch.media.atomic import delete_parts
from cosmos_batch.media.untrusted import LABELS, file_type
from cosmos_batch.media.video import encoding_of
from cosmos_batch.service.http.errors import stopping
from cosmos_batch.spans import file_of, has_span

KEPT = 500  # copies; the oldest is deleted first

_EXPLAINED = 2  # exit code of a process that says why it failed

_PLAYABLE = {
    "mp4": {"h264", "vp9", "av1"},
    "mkv": {"vp8", "vp9", "av1"},  # WebM
}
_PIXELS = {"yuv420p", "yuvj420p"}


class Previews:
    """The previews of a server."""

    def __init__(self, folder: Path, kept: int = KEPT) -> None:
        """Make the folder, and delete the part files of an earlier server; `kept`: copies in it, at most.

        Raises StorageError.
        """
        self._folder = folder.absolute()
        self._kept = kept
        self._closed = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None  # the one that encodes
        self._lock = threading.Lock()  # one at a time: encoding uses all cores
        with folder_errors(self._folder, opening=True):
            self._folder.mkdir(parents=True, exist_ok=True)
            delete_parts(self._folder)

    def of(self, path: Path) -> Path:
        """Get the file itself if browsers play it, else its copy, encoded on first use.

        Raises as `make` does.
        """
        return self.ready(path) or self.make(path)

    def ready(self, path: Path) -> Path | None:
        """Get the file itself if browsers play it, else its copy, if there is one. Raises MediaError.

        The span of a video always has a copy.
        """
        if has_span(path):
            copy = self._copy_of(path)
            return copy if copy.is_file() else None
        suffix = file_type(path)[0]
        if suffix in ("png", "jpg", LABELS[0]):
            return path
        codec, pixels = encoding_of(path)
        if codec in _PLAYABLE.get(suffix, ()) and pixels in _PIXELS:
            return path
        copy = self._copy_of(path)
        return copy if copy.is_file() else None

    def make(self, path: Path) -> Path:
        """Encode the copy of a file. Raises MediaError, StorageError, and ApiError where the server stops."""
        copy = self._copy_of(path)
        with self._lock:
            if not copy.is_file():
                self._make_room()
                self._encode(path, copy)
        return copy

    def _encode(self, path: Path, copy: Path) -> None:
        """Encode a copy in a process, with the priority of the calling thread. Raises as `make` does."""
        command = [sys.executable, "-m", "cosmos_batch.media.preview", str(path.absolute()), str(copy)]
        if self._closed.is_set():
            raise stopping()
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            self._process = process
            if self._closed.is_set():
                process.kill()
            _, errors = process.communicate()
            self._process = None
        if process.returncode:
            said = errors.decode("utf-8", "replace").strip()
            if self._closed.is_set():
                raise stopping()
            raise MediaError(
                said if process.returncode == _EXPLAINED else f"{path}: no preview could be made of it"
            )

    def close(self) -> None:
        """End the process that encodes, if there is one; no other begins."""
        self._closed.set()
        if process := self._process:
            process.kill()

    def _copy_of(self, path: Path) -> Path:
        found = file_of(path).stat()
        key = f"{path}\0{found.st_ino}\0{found.st_size}\0{found.st_mtime_ns}"
        return self._folder / f"{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()}.mp4"

    def _make_room(self) -> None:
        with folder_errors(self._folder):
            copies = sorted(self._folder.glob("*.mp4"), key=lambda copy: copy.stat().st_mtime)
            for copy in copies[: max(0, len(copies) - self._kept + 1)]:
                copy.unlink(missing_ok=True)
