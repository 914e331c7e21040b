"""Thumbnails: the first frame of a video as a small PNG."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2

from cosmos_batch.errors import MediaError
from cosmos_batch.media.video import frames_of, resized

WIDTH = 320  # pixels


def thumbnail(path: Path) -> bytes:
    """Encode the first frame of a video as PNG, at most `WIDTH` pixels wide. Raises MediaError."""
    frame = next(iter(islice(frames_of(path), 1)))
    height, width = frame.shape[:2]
    small = resized(frame, (WIDTH, max(1, round(height * WIDTH / width)))) if width > WIDTH else frame
    done, data = cv2.imencode(".png", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    if not done:
        raise MediaError(f"{path}: the first frame cannot be encoded as PNG")
    return bytes(data)
