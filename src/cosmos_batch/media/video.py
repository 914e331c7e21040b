"""Reads video files: size, frames, masks and metadata, through PyAV.

Frames are uint8 RGB, [height, width, 3], as `media.display` shows them. A file of variable frame rate gives its
frames unchanged, none dropped or doubled. An image counts as a video of one frame.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import av
import cv2
import numpy as np
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from cosmos_batch.errors import MediaError
from cosmos_batch.formats.guided import is_label_file
from cosmos_batch.media.containers.whole import missing_end
from cosmos_batch.media.display import FrameReader, over_black
from cosmos_batch.media.display import Frames as Frames
from cosmos_batch.media.info import MAX_FRAMES, VideoInfo
from cosmos_batch.media.label_masks import probe_labels
from cosmos_batch.media.spacing import uneven_intervals

Resample = Literal["smooth", "nearest", "lanczos"]
"""Resampling of pixels. "smooth": area averages to shrink, cubic to enlarge; "nearest" keeps colours exact;
"lanczos": as NVIDIA's Transfer2.5 resizes its outputs."""

MAX_SIDE = 8192
"""Pixels; a wider or higher video counts as a damaged header."""

_RATE_TOLERANCE = Fraction(1, 50)  # Matroska rounds times to milliseconds: 3 % of one interval at 30 fps
_UNIFORM = 24  # of 255: lossy colours of one area differ by less
_ALPHA_DECODERS = {"vp9": "libvpx-vp9", "vp8": "libvpx"}  # libav's own decoders ignore opacity


def probe(path: str | Path, *, to_end: bool = False, most_pixels: int | None = None) -> VideoInfo:
    """Size, length and rate of a video file, with frames that are counted.

    Frames are counted packet by packet; where the count differs from the container's (or it gives none), by
    decoding. `to_end`: decode in any case, so that damage is found wherever reading finds it. At most
    `MAX_FRAMES` frames are decoded, as many as a run can use, and with `most_pixels` none after that many pixels;
    the packets of the rest are counted. Frames that an edit list hides do not count. `fps` is the average rate.
    A file of labels (`media.label_masks`) counts as a video without a rate.
    Raises MediaError if the file is missing, damaged, cut short, of absurd size, or has no video in it.
    """
    if is_label_file(path):
        return probe_labels(path, to_end=to_end, most_pixels=most_pixels)
    counted = _counted(path)
    with _opened(path) as (container, stream):
        stream.codec_context.options = {"skip_loop_filter": "all"}  # the pixels are not used
        reader = FrameReader(stream.sample_aspect_ratio)
        decoded = ((frame.pts, reader.size(frame)) for frame in _decoded(container, stream, path))
        first = next(decoded)
        width, height = first[1]
        _check_side(path, width, height)
        times = counted.times
        if to_end or not counted.certain:
            bound = min(MAX_FRAMES, (most_pixels or sys.maxsize) // (width * height))
            shown = [first[0], *(pts for pts, _ in islice(decoded, bound))]
            times = shown if len(shown) <= bound else times
        rate, intervals = _rate(stream, times), uneven_intervals(times, stream.time_base)
    return VideoInfo(width, height, len(times), float(rate), *(intervals or ()))


def frames_of(path: str | Path) -> Iterator[Frames]:
    """Yield the frames of a video one by one, each [height, width, 3], in the shape that a screen shows.

    Raises MediaError as `probe` does, when the damaged place is reached.
    """
    with _opened(path) as (container, stream):
        reader = FrameReader(stream.sample_aspect_ratio)
        for frame in _decoded(container, stream, path):
            yield resized(reader.picture(frame), reader.size(frame))


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
    return _read(path, count, size, resample, channels=3)


def _read(
    path: str | Path, count: int | None, size: tuple[int, int] | None, resample: Resample, channels: Literal[3, 4]
) -> Frames:
    """The first frames, over black, or with opacity as fourth channel."""
    wanted = probe(path).frames if count is None else count
    out: Frames | None = None
    filled = 0
    with _opened(path) as (container, stream):
        reader = FrameReader(stream.sample_aspect_ratio)
        make = reader.picture if channels == 3 else reader.picture_with_alpha
        for frame in islice(_decoded(container, stream, path), wanted):
            if out is None:
                size = size or reader.size(frame)
                out = np.empty((wanted, size[1], size[0], channels), np.uint8)
            out[filled] = resized(make(frame), (out.shape[2], out.shape[1]), resample)
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
    smooth = cv2.INTER_AREA if size[0] * size[1] < width * height else cv2.INTER_CUBIC
    methods = {"smooth": smooth, "nearest": cv2.INTER_NEAREST, "lanczos": cv2.INTER_LANCZOS4}
    return np.asarray(cv2.resize(frame, size, interpolation=methods[resample]), np.uint8)


def read_mask(path: str | Path, *, count: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """A mask video as numbers, [count, height, width]: 0 where it is black, 1 where it is white.

    Where the mask's opacity varies and its visible colour does not, the opacity is the mask; else transparent
    pixels are black. A mask of a single frame (for example an image) holds for all frames. Raises MediaError
    as `read_frames` does.
    """
    still = probe(path).frames == 1
    pictures = _read(path, 1 if still else count, size, "smooth", channels=4)
    mask = _by_opacity(pictures) if _shape_is_opacity(pictures) else _by_colour(pictures)
    return np.repeat(mask, count, axis=0) if still else mask


def _shape_is_opacity(pictures: Frames) -> bool:
    """Whether some pixels are transparent, and all others have the same colour."""
    alpha = pictures[..., 3]
    if (alpha == 255).all():
        return False
    seen = pictures[alpha > 127][..., :3]
    return len(seen) == 0 or int(np.ptp(seen, axis=0).max()) < _UNIFORM


def _by_opacity(pictures: Frames) -> NDArray[np.float32]:
    return pictures[..., 3].astype(np.float32) / np.float32(255)


def _by_colour(pictures: Frames) -> NDArray[np.float32]:
    grey = [over_black(picture).mean(axis=-1, dtype=np.float32) for picture in pictures]
    return np.asarray(np.stack(grey) / np.float32(255), np.float32)


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a video file, as its container holds it. Raises MediaError if it cannot be opened."""
    with _opened(path) as (container, _):
        return dict(container.metadata)


def encoding_of(path: str | Path) -> tuple[str, str]:
    """Codec and pixel format of a video, such as ("h264", "yuv420p"). Raises MediaError."""
    with _opened(path) as (_, stream):
        return stream.codec_context.name, stream.codec_context.pix_fmt or ""


@contextmanager
def _opened(
    path: str | Path, options: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its video stream; errors of libav inside the context become MediaError."""
    try:
        # The whitelist prevents that a playlist in place of a video opens addresses.
        allowed = {"protocol_whitelist": "file", **options}
        with av.open(str(Path(path).absolute()), options=allowed, metadata_errors="replace") as container:
            streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
            if not streams:
                _check_end(path)
                kinds = " and ".join(sorted({stream.type for stream in container.streams}))
                found = f"no video in it, only {kinds}" if kinds else "not a single frame in it"
                raise MediaError(f"{path}: {found}; supply a video file")
            if not isinstance(streams[0].codec_context, VideoCodecContext):
                raise MediaError(f"{path}: no decoder knows its video codec; encode it as H.264, for example")
            streams[0].thread_type = "AUTO"
            yield container, streams[0]
    except (av.error.FFmpegError, OSError, MemoryError, ValueError) as error:
        raise MediaError(f"{path}: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return _NO_MEMORY
    if isinstance(error, FileNotFoundError):
        return "no such file; check the path"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file; name a video file"
    if isinstance(error, PermissionError):
        return "not allowed to read it; change its permissions"
    reason = error.strerror if isinstance(error, (av.error.FFmpegError, OSError)) else str(error)
    if isinstance(error, OSError):
        return f"cannot be read ({reason}); try again, and check its disk"
    return f"cannot be read as a video ({reason}): damaged, cut short, or no video; copy or encode it again"


_NO_MEMORY = "memory ran out while it was read; free some, or use fewer or smaller frames"


@dataclass(frozen=True, slots=True)
class _Counted:
    """Packets of a file, counted without decoding."""

    times: list[int | None]  # presentation times of the packets that become frames
    certain: bool  # the container gives the same number


def _counted(path: str | Path) -> _Counted:
    """Count packets. Raises MediaError for a file that has fewer packets than its header says."""
    with _opened(path) as (container, stream):
        times, damaged, cut = _packet_times(container, stream)
        declared = stream.frames
        indexed = "mp4" in container.format.name
        if not (indexed and len(times) < declared):  # else its frames are compared below
            _check_end(path, fewer_frames=len(times) < declared, last_is_cut=cut)
    if indexed and len(times) < declared:
        _check_whole(path, declared)
    return _Counted(times, not damaged and declared == len(times))


def _check_end(path: str | Path, *, fewer_frames: bool = True, last_is_cut: bool = False) -> None:
    """Raise MediaError for a file that is cut short, by what its container says."""
    missing = missing_end(Path(path), fewer_frames=fewer_frames)
    if missing or last_is_cut:
        missing = missing or "its last frame is not whole"
        raise MediaError(f"{path}: the file was cut short: {missing}; copy or encode it again")


def _check_whole(path: str | Path, declared: int) -> None:
    """Raise MediaError unless all packets are there, also those that an edit list hides."""
    with _opened(path, {"ignore_editlist": "1"}) as (container, stream):
        stored = len(_packet_times(container, stream)[0])
    if stored < declared:
        raise MediaError(
            f"{path}: it should have {declared} frames, and only {stored} are there: "
            "the file was cut short; copy or encode it again"
        )


def _packet_times(container: InputContainer, stream: VideoStream) -> tuple[list[int | None], bool, bool]:
    """Presentation times of the packets that become frames; whether one is damaged, and whether the last is."""
    packets = [p for p in container.demux(stream) if p.size and not p.is_discard]
    damaged = [packet.is_corrupt for packet in packets]
    return [packet.pts for packet in packets if not packet.is_corrupt], any(damaged), damaged[-1:] == [True]


def _decoded(container: InputContainer, stream: VideoStream, path: str | Path) -> Iterator[VideoFrame]:
    """Decode; raise MediaError for a video without frames or of absurd size."""
    number = 0
    try:
        for frame in _frames(container, stream):
            number += 1
            _check_side(path, frame.width, frame.height)
            yield frame
    except MemoryError as error:
        raise MediaError(f"{path}: {_NO_MEMORY}") from error
    except av.error.FFmpegError as error:
        raise MediaError(
            f"{path}: damaged or cut short after {number} frames ({error.strerror}); copy or encode it again"
        ) from error
    if not number:
        raise MediaError(f"{path}: not a single frame in it; copy or encode it again")


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode, with the opacity that WebM keeps beside the picture."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        yield from container.decode(stream)
        return
    decoder = CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    for packet in container.demux(stream):
        yield from decoder.decode(packet)


def _check_side(path: str | Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE:
        raise MediaError(f"{path}: {width}x{height} pixels, and a side may have {MAX_SIDE}; scale it down")


def _rate(stream: VideoStream, times: list[int | None]) -> Fraction:
    """Average frames per second: the container's, unless its frames have other times."""
    declared = stream.average_rate or stream.guessed_rate or Fraction(25)
    known = [time for time in times if time is not None]
    if len(known) < max(2, len(times)) or max(known) == min(known) or stream.time_base is None:
        return declared
    measured = (len(known) - 1) / ((max(known) - min(known)) * stream.time_base)
    return declared if abs(measured - declared) <= declared * _RATE_TOLERANCE else measured
