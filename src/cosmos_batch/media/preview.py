"""`python -m cosmos_batch.media.preview SOURCE TARGET`: a small H.264 copy of a video.

In a process of its own, so that a server which needs the copy answers other requests, and outlives a decoder
that crashes. Exit code 2, with the cause on stderr, where the copy cannot be made.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.media.encode import write_video
from cosmos_batch.media.info import MAX_FRAMES
from cosmos_batch.media.video import Frames, frames_of, probe, resized

LONGEST_SIDE = 1280  # pixels of a copy


def write_preview(source: Path, target: Path, most_frames: int = MAX_FRAMES) -> None:
    """Write the copy, of the first frames of a long video. Raises MediaError and StorageError."""
    write_video(target, islice(_small(source), most_frames), probe(source).fps)


def _small(path: Path) -> Iterator[Frames]:
    """Scale frames to `LONGEST_SIDE` at most, with even sides, which H.264 needs."""
    for frame in frames_of(path):
        height, width = frame.shape[:2]
        scale = min(1.0, LONGEST_SIDE / max(height, width))
        size = max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
        yield frame if size == (width, height) else resized(frame, size)


def main(arguments: list[str]) -> int:
    """Write the copy; returns the exit code."""
    source, target = map(Path, arguments)
    try:
        write_preview(source, target)
    except CosmosBatchError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
