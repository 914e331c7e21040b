"""Thumbnails: the first frame of a video as a small JPEG."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from pathlib import Path

import cv2

from cosmos_batch.errors import MediaError
from cosmos_batch.media.video import frames_of, resized
from cosmos_batch.spans import file_of

WIDTH = 320  # pixels
QUALITY = 85  # of JPEG: about 12 kB
KEPT = 2000  # thumbnails in memory


def thumbnail(path: Path) -> bytes:
    """Encode the first frame of a video as JPEG, at most `WIDTH` pixels wide. Raises MediaError."""
    try:
        facts = file_of(path).stat()
    except OSError:
        return _encoded(path, (0, 0))
    return _encoded(path, (facts.st_mtime_ns, facts.st_size))


@lru_cache(maxsize=KEPT)
def _encoded(path: Path, version: tuple[int, int]) -> bytes:  # noqa: ARG001 (a changed file is another entry)
    frame = next(iter(islice(frames_of(path), 1)))
    height, width = frame.shape[:2]
    small = resized(frame, (WIDTH, max(1, round(height * WIDTH / width)))) if width > WIDTH else frame
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise MediaError(f"{path}: the first frame cannot be encoded as JPEG")
    return bytes(data)
