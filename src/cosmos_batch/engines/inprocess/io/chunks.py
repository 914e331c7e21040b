"""Chunks: the stretches of a video that go through the network one after the other. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cosmos_batch.media.video import Frames


def chunk_starts(frames: int, chunk_frames: int, overlap: int) -> list[int]:
    """First frame of each chunk of a video of so many frames; neighbours share `overlap` frames."""
    if frames <= chunk_frames:
        return [0]
    return list(range(0, frames - overlap, chunk_frames - overlap))


def chunk_of(frames: Frames, start: int, chunk_frames: int) -> Frames:
    """`chunk_frames` frames from `start` on; past the end of the video its last frame is repeated."""
    if start + chunk_frames <= len(frames):
        return frames[start : start + chunk_frames]  # no copy: a chunk may have a quarter of a gigabyte
    index = np.minimum(np.arange(start, start + chunk_frames), len(frames) - 1)
    return frames[index]
