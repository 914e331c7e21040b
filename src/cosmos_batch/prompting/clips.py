"""Clips as a model sees them: a digest of the file, and a few of its frames as JPEG."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

from cosmos_batch.errors import MediaError
from cosmos_batch.media.video import Frames, frames_of, probe, resized
from cosmos_batch.spans import file_of

LONGEST_SIDE = 768
"""Pixels of the pictures that are sent: enough for a caption, a few hundred tokens with usual models."""

_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Clip:
    """A video file, or the span of one, as it was when its digest was made."""

    path: str  # with the span, where one is meant
    sha256: str  # of the file's bytes
    frames: int
    seconds: float  # at its own rate; 0 for a picture


def clip_of(path: str) -> Clip:
    """Look at a video. Raises MediaError if it cannot be read."""
    info = probe(path)
    return Clip(path, _sha256(path), info.frames, info.frames / info.fps if info.frames > 1 else 0.0)


def pictures(clip: Clip, count: int) -> list[str]:
    """At most `count` frames, spread evenly from the first to the last, as JPEG data URLs.

    Raises MediaError if the file cannot be read, or is another one than when `clip` was made.
    """
    wanted = set(np.linspace(0, clip.frames - 1, min(count, clip.frames)).round().astype(int).tolist())
    urls = []
    for index, frame in enumerate(frames_of(clip.path)):
        if index in wanted:
            urls.append(_data_url(frame, clip.path))
        if index >= max(wanted):
            break
    if len(urls) < len(wanted) or _sha256(clip.path) != clip.sha256:
        raise MediaError(f"{clip.path}: the file changed while it was read; wait until it is written")
    return urls


def _data_url(frame: Frames, path: str) -> str:
    height, width = frame.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    small = resized(frame, (max(1, round(width * scale)), max(1, round(height * scale))))
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    if not done:
        raise MediaError(f"{path}: a frame cannot be encoded as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _sha256(path: str) -> str:
    try:
        with file_of(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror}); check the path") from error
