"""Previews: H.264 copies of videos that browsers cannot play, such as HEVC, MPEG-4, AVI and 10-bit files."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

from cosmos_batch.dispatch.output.directory import folder_errors
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.untrusted import file_type
from cosmos_batch.media.video import Frames, encoding_of, frames_of, probe, resized

LONGEST_SIDE = 1280  # pixels of a copy
KEPT = 500  # copies; the oldest is deleted first

_PLAYABLE = {
    "mp4": {"h264", "vp9", "av1"},
    "mkv": {"vp8", "vp9", "av1"},  # WebM
}
_PIXELS = {"yuv420p", "yuvj420p"}


class Previews:
    """The previews of a server."""

    def __init__(self, folder: Path, kept: int = KEPT) -> None:
        """Make the folder; `kept`: copies in it, at most. Raises StorageError."""
        self._folder = folder.absolute()
        self._kept = kept
        self._lock = threading.Lock()  # one at a time: encoding uses all cores
        with folder_errors(self._folder, opening=True):
            self._folder.mkdir(parents=True, exist_ok=True)

    def of(self, path: Path) -> Path:
        """Get the file itself if browsers play it, else its copy, encoded on first use.

        Raises MediaError and StorageError.
        """
        suffix = file_type(path)[0]
        if suffix in ("png", "jpg"):
            return path
        codec, pixels = encoding_of(path)
        if codec in _PLAYABLE.get(suffix, ()) and pixels in _PIXELS:
            return path
        found = path.stat()
        key = f"{path}\0{found.st_ino}\0{found.st_size}\0{found.st_mtime_ns}"
        copy = self._folder / f"{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()}.mp4"
        with self._lock:
            if not copy.is_file():
                self._make_room()
                write_video(copy, _small(path), probe(path).fps)
        return copy

    def _make_room(self) -> None:
        with folder_errors(self._folder):
            copies = sorted(self._folder.glob("*.mp4"), key=lambda copy: copy.stat().st_mtime)
            for copy in copies[: max(0, len(copies) - self._kept + 1)]:
                copy.unlink(missing_ok=True)


def _small(path: Path) -> Iterator[Frames]:
    """Scale frames to `LONGEST_SIDE` at most, with even sides, which H.264 needs."""
    for frame in frames_of(path):
        height, width = frame.shape[:2]
        scale = min(1.0, LONGEST_SIDE / max(height, width))
        size = max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
        yield frame if size == (width, height) else resized(frame, size)
