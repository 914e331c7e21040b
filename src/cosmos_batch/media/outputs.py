"""Files of a finished run: an output and a file of each control, videos or, of a run of one frame, pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from cosmos_batch.media.encode import tag_video, write_video
from cosmos_batch.media.pictures import tag_picture, write_picture
from cosmos_batch.media.video import Frames, resized

OutputSuffix = Literal["mp4", "png", "jpg"]

OUTPUT_SUFFIXES = (".mp4", ".png", ".jpg")
"""Suffixes of the files that a finished run may have beside its record."""


@dataclass(frozen=True, slots=True)
class OutputForm:
    """Size and kind of a run's files."""

    size: tuple[int, int]  # width, height in pixels; frames of another size are resized to it
    suffix: OutputSuffix


def write_frames(
    path: Path,
    frames: Iterable[Frames],
    fps: float | Fraction,
    *,
    size: tuple[int, int] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write frames as the suffix of the path says: as an H.264 video in MP4, or the first as a PNG or JPEG.

    `size`: width and height, to which each frame is resized by Lanczos' kernel over 8 x 8 pixels, as NVIDIA's
    Transfer2.5 resizes a decoded video (`reshape_output_video_to_input_resolution`). Raises MediaError and
    StorageError.
    """
    pictures = frames if size is None else (resized(frame, size, "lanczos") for frame in frames)
    if path.suffix == ".mp4":
        write_video(path, pictures, fps, metadata=metadata)
    else:
        write_picture(path, next(iter(pictures)), metadata=metadata)


def tag_output(source: Path, target: Path, metadata: Mapping[str, str]) -> None:
    """Copy an MP4, PNG or JPEG with this metadata, its frames as they are. Raises MediaError and StorageError."""
    if target.suffix == ".mp4":
        tag_video(source, target, metadata)
    else:
        tag_picture(source, target, metadata)
