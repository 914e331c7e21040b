"""What a video file says of itself, and how many frames a run makes of its videos.

This module imports no decoder, so that the pure layers above it may use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.errors import MediaError
from cosmos_batch.run import Run

MAX_FRAMES = 5000
"""The most frames that one run makes; what NVIDIA's scripts stop at too."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video file says of itself."""

    width: int  # pixels, after the file's rotation was applied
    height: int
    frames: int
    fps: float  # the average rate where it varies


FileMark = tuple[int, int, int, int]
"""What changes when a file is replaced or written to: device, inode, bytes, nanoseconds of its last change."""


def file_mark(path: str | Path) -> FileMark:
    """The mark of a file as it is now. Raises OSError."""
    status = Path(path).stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def videos_of(run: Run) -> tuple[str, ...]:
    """Paths of every video that a run reads, each once: input, active controls, their masks."""
    paths = [run.video, *(path for c in run.active for path in (c.video, c.mask))]
    return tuple(dict.fromkeys(path for path in paths if path is not None))


def frame_count(run: Run, facts: Mapping[str, VideoInfo]) -> int:
    """How many frames a run makes: as many as it asks for, else as many as its shortest video has.

    `facts` holds the facts of every path in `videos_of(run)`. A mask of a single frame holds for the whole
    video, so it limits nothing. Raises MediaError if a video is shorter than what is asked for, if there is
    no video to take the length from, or if the length is above `MAX_FRAMES`.
    """
    lengths = _lengths(run, facts)
    if not lengths:
        raise MediaError(
            f"run {run.id}: it names no video to take its length from; give it an input or control video"
        )
    shortest = min(lengths, key=lambda path: lengths[path])
    asked = run.sampling.num_frames
    if asked is not None and lengths[shortest] < asked:
        raise MediaError(
            f"{shortest}: run {run.id} asks for {asked} frames and this video has {lengths[shortest]}; "
            f"lower num_frames to {lengths[shortest]}, leave it out, or supply a longer video"
        )
    count = lengths[shortest] if asked is None else asked
    if count > MAX_FRAMES:
        raise MediaError(
            f"{shortest}: {count} frames, and a run makes at most {MAX_FRAMES}; set num_frames or cut the video"
        )
    return count


def _lengths(run: Run, facts: Mapping[str, VideoInfo]) -> dict[str, int]:
    """Frames of each video that limits the run's length."""
    lengths = {path: facts[path].frames for path in (run.video, *(c.video for c in run.active)) if path}
    masks = {c.mask: facts[c.mask].frames for c in run.active if c.mask}
    return lengths | {path: frames for path, frames in masks.items() if frames > 1}
