"""Size, length and rate of video files, and the number of frames that a run makes.

This module imports no decoder, so that the pure layers above it may use it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cosmos_batch.errors import MediaError
from cosmos_batch.run import Run
from cosmos_batch.spans import file_of

MAX_FRAMES = 5000
"""The most frames that one run makes; NVIDIA's scripts have the same limit."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Size, length and rate of a video."""

    width: int  # pixels, after the file's rotation was applied
    height: int
    frames: int
    fps: float  # the average rate where it varies; 0 for a file of labels, which has none
    # Seconds between two frames where they are uneven (`media.spacing`); None: even, or not known
    shortest_interval: float | None = None
    usual_interval: float | None = None  # the median
    longest_interval: float | None = None


FileMark = tuple[int, int, int, int, int]
"""Values that change when a file is replaced or written: device, inode, bytes, nanoseconds of its last write
(which programs may set) and of its last change of any kind (which they may not)."""


def file_mark(path: str | Path) -> FileMark:
    """The current mark of a file, which a path or the span of a video names. Raises OSError."""
    status = file_of(path).stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@dataclass(frozen=True, slots=True)
class InputFile:
    """An input file, as it was when its run was claimed."""

    path: str  # with the span of the video, where its run names one
    mark: FileMark
    sha256: str


def changed_contents(mark: FileMark, before: FileMark) -> bool:
    """Whether a file was replaced or written between two marks; False may only mean that nothing shows it."""
    return mark[:4] != before[:4]


def marks_of(run: Run) -> dict[str, FileMark]:
    """Marks of the files that a run reads, by path. Raises MediaError."""
    marks = {}
    for path in videos_of(run):
        try:
            marks[path] = file_mark(path)
        except OSError as error:
            raise MediaError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return marks


def videos_of(run: Run) -> tuple[str, ...]:
    """Paths of every video that a run reads, each once: input, active controls, all masks."""
    paths = [run.video, *(path for c in run.active for path in (c.video, c.mask)), run.guided_mask]
    return tuple(dict.fromkeys(path for path in paths if path is not None))


def videos_of_all(runs: Iterable[Run]) -> dict[str, None]:
    """Paths of every video that some run reads, each once, in the order of the runs."""
    seen: set[Hashable] = set()
    found: dict[str, None] = {}
    for run in runs:
        named = (run.video, run.controls, run.guided_generation)
        if named not in seen:
            seen.add(named)
            found.update(dict.fromkeys(videos_of(run)))
    return found


def frame_count(run: Run, infos: Mapping[str, VideoInfo]) -> int:
    """The number of frames that a run makes: as many as it sets, else as many as its shortest video has.

    `infos` has every path of `videos_of(run)`. A mask of a single frame holds for the whole video, so it limits
    nothing. Raises MediaError if a video is shorter than `num_frames`, if no video gives the length, or if the
    length is above `MAX_FRAMES`.
    """
    lengths = frame_limits(run, infos)
    if not lengths:
        raise MediaError(
            f"run {run.id}: it names no video to take its length from; give it an input or control video"
        )
    shortest = min(lengths, key=lambda path: lengths[path])
    wanted = run.sampling.num_frames
    if wanted is not None and lengths[shortest] < wanted:
        raise MediaError(
            f"{shortest}: run {run.id} asks for {wanted} frames and this video has {lengths[shortest]}; "
            f"lower num_frames to {lengths[shortest]}, leave it out, or supply a longer video"
        )
    count = lengths[shortest] if wanted is None else wanted
    if count > MAX_FRAMES:
        raise MediaError(
            f"{shortest}: {count} frames, and a run makes at most {MAX_FRAMES}; set num_frames or cut the video"
        )
    return count


def frame_limits(run: Run, infos: Mapping[str, VideoInfo]) -> dict[str, int]:
    """Frames of each video that limits the run's length, by path: of all but masks of a single frame."""
    lengths = {path: infos[path].frames for path in (run.video, *(c.video for c in run.active)) if path}
    named = [*(c.mask for c in run.active), run.guided_mask]
    masks = {mask: infos[mask].frames for mask in named if mask}
    return lengths | {path: frames for path, frames in masks.items() if frames > 1}
