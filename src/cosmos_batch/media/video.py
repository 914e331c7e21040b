"""Reads video files: size, frames, masks and metadata, through PyAV.

Frames are uint8 RGB, upright (the file's rotation is applied), [height, width, 3]. A file of variable frame rate
gives its frames unchanged, none dropped or doubled. An image counts as a video of one frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from cosmos_batch.errors import MediaError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.spacing import uneven_intervals

Frames = NDArray[np.uint8]
"""Pictures in RGB: [frames, height, width, 3]; a single one is [height, width, 3]."""

Resample = Literal["smooth", "nearest"]
"""Resampling of pixels. "smooth": area averages to shrink, cubic to enlarge; "nearest" keeps colours exact."""

MAX_SIDE = 8192
"""Pixels; a wider or higher video counts as a damaged header."""

_RATE_TOLERANCE = Fraction(1, 50)  # Matroska rounds times to milliseconds: 3 % of one interval at 30 fps


def probe(path: str | Path) -> VideoInfo:
    """Size, length and rate of a video file, with frames that are counted.

    Frames are counted packet by packet; where the count differs from the container's (or it gives none), by
    decoding. `fps` is the average rate. Raises MediaError if the file is missing, damaged, cut short,
    of absurd size, or has no video in it.
    """
    with _opened(path) as (container, stream):
        times, damaged = _packet_times(container, stream)
        declared, certain = stream.frames, not damaged and stream.frames == len(times)
    with _opened(path) as (container, stream):
        decoded = [
            (frame.pts, _size(frame))
            for frame in islice(_decoded(container, stream, path), 1 if certain else None)
        ]
        if "mp4" in container.format.name and len(times) < declared:
            raise MediaError(
                f"{path}: it should have {declared} frames, and only {len(times)} are there: "
                "the file was cut short; copy or encode it again"
            )
        shown = times if certain else [pts for pts, _ in decoded]
        rate, intervals = _rate(stream, shown), uneven_intervals(shown, stream.time_base)
    width, height = decoded[0][1]
    frames = declared if certain else len(decoded)
    return VideoInfo(width, height, frames, float(rate), *(intervals or ()))


def frames_of(path: str | Path) -> Iterator[Frames]:
    """Yield the frames of a video one by one, each [height, width, 3].

    Raises MediaError as `probe` does, when the damaged place is reached.
    """
    with _opened(path) as (container, stream):
        for frame in _decoded(container, stream, path):
            yield _upright(frame)


def count_intact_frames(path: str | Path) -> int:
    """Decode a video to its end; return the number of its frames, all of them intact.

    Raises MediaError as `probe` does, and for errors in the compressed stream that a decoder would conceal.
    """
    count = 0
    with _opened(path) as (container, stream):
        stream.codec_context.options = {"err_detect": "explode"}
        for frame in _decoded(container, stream, path):
            if frame.is_corrupt:
                raise MediaError(f"{path}: a frame is damaged; make the file again")
            count += 1
    return count


def read_frames(
    path: str | Path,
    *,
    count: int | None = None,
    size: tuple[int, int] | None = None,
    resample: Resample = "smooth",
) -> Frames:
    """The first `count` frames (None: all), [frames, height, width, 3], stretched to `size` = (width, height).

    Stretching without a crop is what NVIDIA's `resize_video` does (transfer2/inference/utils.py).
    Raises MediaError as `probe` does, and if there are fewer than `count` frames.
    """
    wanted = probe(path).frames if count is None else count
    out: Frames | None = None
    filled = 0
    for frame in islice(frames_of(path), wanted):
        if out is None:
            size = size or (frame.shape[1], frame.shape[0])
            out = np.empty((wanted, size[1], size[0], 3), np.uint8)
        out[filled] = resized(frame, (out.shape[2], out.shape[1]), resample)
        filled += 1
    if out is None or filled < wanted:
        raise MediaError(
            f"{path}: {wanted} frames are needed and it has {filled}; supply a longer video or ask for fewer"
        )
    return out


def resized(frame: Frames, size: tuple[int, int], resample: Resample = "smooth") -> Frames:
    """One frame, stretched to `size` = (width, height)."""
    height, width = frame.shape[:2]
    if (width, height) == size:
        return frame
    shrinks = size[0] * size[1] < width * height
    smooth = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(
        cv2.resize(frame, size, interpolation=cv2.INTER_NEAREST if resample == "nearest" else smooth), np.uint8
    )


def read_mask(path: str | Path, *, count: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """A mask video as numbers, [count, height, width]: 0 where it is black, 1 where it is white.

    A mask of a single frame (for example an image) holds for all frames. Raises MediaError as `read_frames` does.
    """
    still = probe(path).frames == 1
    grey = read_frames(path, count=1 if still else count, size=size).mean(axis=-1, dtype=np.float32) / np.float32(
        255
    )
    return np.repeat(grey, count, axis=0) if still else grey


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a video file, as its container holds it. Raises MediaError if it cannot be opened."""
    with _opened(path) as (container, _):
        return dict(container.metadata)


def encoding_of(path: str | Path) -> tuple[str, str]:
    """Codec and pixel format of a video, such as ("h264", "yuv420p"). Raises MediaError."""
    with _opened(path) as (_, stream):
        return stream.codec_context.name, stream.codec_context.pix_fmt or ""


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its video stream; errors of libav inside the context become MediaError."""
    try:
        # The whitelist prevents that a playlist in place of a video opens addresses.
        with av.open(str(Path(path).absolute()), options={"protocol_whitelist": "file"}) as container:
            streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
            if not streams:
                kinds = " and ".join(sorted({stream.type for stream in container.streams}))
                found = f"no video in it, only {kinds}" if kinds else "not a single frame in it"
                raise MediaError(f"{path}: {found}; supply a video file")
            streams[0].thread_type = "AUTO"
            yield container, streams[0]
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f"{path}: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file; check the path"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file; name a video file"
    if isinstance(error, PermissionError):
        return "not allowed to read it; change its permissions"
    reason = error.strerror if isinstance(error, (av.error.FFmpegError, OSError)) else str(error)
    return f"cannot be read as a video ({reason}): damaged, cut short, or no video; copy or encode it again"


def _packet_times(container: InputContainer, stream: VideoStream) -> tuple[list[int | None], bool]:
    """Presentation times of the packets that become frames, and whether one of them is damaged."""
    packets = [p for p in container.demux(stream) if p.size and not p.is_discard]
    return [packet.pts for packet in packets if not packet.is_corrupt], any(p.is_corrupt for p in packets)


def _decoded(container: InputContainer, stream: VideoStream, path: str | Path) -> Iterator[VideoFrame]:
    """Decode; raise MediaError for a video without frames or of absurd size."""
    number = 0
    try:
        for frame in container.decode(stream):
            number += 1
            if max(frame.width, frame.height) > MAX_SIDE:
                raise MediaError(
                    f"{path}: {frame.width}x{frame.height} pixels, and a side may have {MAX_SIDE}; scale it down"
                )
            yield frame
    except av.error.FFmpegError as error:
        raise MediaError(
            f"{path}: damaged or cut short after {number} frames ({error.strerror}); copy or encode it again"
        ) from error
    if not number:
        raise MediaError(f"{path}: not a single frame in it; copy or encode it again")


def _rate(stream: VideoStream, times: list[int | None]) -> Fraction:
    """Average frames per second: the container's, unless its frames have other times."""
    declared = stream.average_rate or stream.guessed_rate or Fraction(25)
    known = [time for time in times if time is not None]
    if len(known) < max(2, len(times)) or max(known) == min(known) or stream.time_base is None:
        return declared
    measured = (len(known) - 1) / ((max(known) - min(known)) * stream.time_base)
    return declared if abs(measured - declared) <= declared * _RATE_TOLERANCE else measured


def _size(frame: VideoFrame) -> tuple[int, int]:
    """(width, height) of a frame after rotation."""
    return (frame.height, frame.width) if frame.rotation % 180 else (frame.width, frame.height)


def _upright(frame: VideoFrame) -> Frames:
    picture = frame.to_ndarray(format="rgb24")
    # libav counts the rotation that shows the frame upright counter-clockwise, as numpy does.
    return np.ascontiguousarray(np.rot90(picture, frame.rotation // 90 % 4))
