"""Reads video files: size, frames, masks and metadata, through PyAV.

Frames are uint8 RGB, [height, width, 3], as `media.display` shows them. A file of variable frame rate gives its
frames unchanged, none dropped or doubled. An image counts as a video of one frame. A path may name a span
of a video (`cosmos_batch.spans`), which counts as a video of its frames alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from av.codec.context import CodecContext
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from cosmos_batch.errors import MediaError
from cosmos_batch.formats.guided import is_label_file
from cosmos_batch.media.containers.frame_index import FrameIndex
from cosmos_batch.media.containers.opening import NO_MEMORY, cause_of, opened
from cosmos_batch.media.containers.packets import CountedFrames, count_frames
from cosmos_batch.media.display import FrameReader, over_black
from cosmos_batch.media.display import Frames as Frames
from cosmos_batch.media.info import MAX_FRAMES, FileMark, VideoInfo, file_mark
from cosmos_batch.media.label_masks import probe_labels
from cosmos_batch.media.spacing import uneven_intervals
from cosmos_batch.spans import split_span

Resample = Literal["smooth", "nearest", "lanczos"]
"""Resampling of pixels. "smooth": area averages to shrink, cubic to enlarge; "nearest" keeps colours exact;
"lanczos": as NVIDIA's Transfer2.5 resizes its outputs."""

MAX_SIDE = 8192
"""Pixels; a wider or higher video counts as a damaged header."""

_MOST_WITHOUT_INDEX = 20_000  # frames that are decoded to find the place of a span
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
    part = _count_part(path)
    counted = part or count_frames(path)
    with opened(path) as (container, stream):
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
            times = shown if part is None and len(shown) <= bound else times
        rate, intervals = _rate(stream, times), uneven_intervals(times, stream.time_base)
    return VideoInfo(width, height, len(times), float(rate), *(intervals or ()))


def frames_of(path: str | Path) -> Iterator[Frames]:
    """Yield the frames of a video one by one, each [height, width, 3], in the shape that a screen shows.

    Raises MediaError as `probe` does, when the damaged place is reached.
    """
    with opened(path) as (container, stream):
        reader = FrameReader(stream.sample_aspect_ratio)
        for frame in _decoded(container, stream, path):
            yield resized(reader.picture(frame), reader.size(frame))


def count_intact_frames(path: str | Path) -> int:
    """Decode a video to its end; return the number of its frames, all of them intact.

    Raises MediaError as `probe` does, and for errors in the compressed stream that a decoder would conceal.
    """
    count = 0
    with opened(path) as (container, stream):
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
    with opened(path) as (container, stream):
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
    with opened(path) as (container, _):
        return dict(container.metadata)


def encoding_of(path: str | Path) -> tuple[str, str]:
    """Codec and pixel format of a video, such as ("h264", "yuv420p"). Raises MediaError."""
    with opened(path) as (_, stream):
        return stream.codec_context.name, stream.codec_context.pix_fmt or ""


def _count_part(path: str | Path) -> CountedFrames | None:
    """The frames of a span; None for a path without one. Raises MediaError."""
    index, numbers = _index_of(path)
    return None if index is None else CountedFrames([index.times[n] for n in numbers], certain=True)


def _index_of(path: str | Path) -> tuple[FrameIndex | None, range]:
    """The index of a file and the numbers of its frames that a span names; None for a path without a span."""
    file, span = split_span(str(path))
    if span is None:
        return None, range(0)
    try:
        index = _index(file, file_mark(file))
    except OSError as error:
        raise MediaError(f"{path}: {cause_of(error)}") from error
    return index, index.chosen(span, str(path))


@lru_cache(maxsize=32)
def _index(file: str, _mark: FileMark) -> FrameIndex:
    """The index of a file, made once while the file is unchanged: many runs name spans of one file."""
    counted = count_frames(file)
    known = sorted({time for time in counted.times if time is not None})
    if counted.ordered and counted.unit and known and len(known) == len(counted.times):
        return FrameIndex(known, counted.unit, exact=True)
    with opened(file) as (container, stream):
        stream.codec_context.options = {"skip_loop_filter": "all"}
        shown = [frame.pts for frame in islice(_decoded(container, stream, file), _MOST_WITHOUT_INDEX + 1)]
        if len(shown) > _MOST_WITHOUT_INDEX:
            raise MediaError(
                f"{file}: is too long for spans, since its container has no index of its frames; "
                "copy it to an MP4: ffmpeg -i VIDEO -c copy VIDEO.mp4"
            )
        known = sorted({time for time in shown if time is not None})
        if stream.time_base and len(known) == len(shown):
            return FrameIndex(known, stream.time_base, exact=False)
        return FrameIndex(range(len(shown)), 1 / _rate(stream, []), exact=False)


def _decoded(container: InputContainer, stream: VideoStream, path: str | Path) -> Iterator[VideoFrame]:
    """Decode; raise MediaError for a video without frames or of absurd size."""
    number = 0
    index, numbers = _index_of(path)
    try:
        for frame in _frames(container, stream) if index is None else _part(container, stream, index, numbers):
            number += 1
            _check_side(path, frame.width, frame.height)
            yield frame
    except MemoryError as error:
        raise MediaError(f"{path}: {NO_MEMORY}") from error
    except av.error.FFmpegError as error:
        raise MediaError(
            f"{path}: damaged or cut short after {number} frames ({error.strerror}); copy or encode it again"
        ) from error
    if not number:
        raise MediaError(f"{path}: not a single frame in it; copy or encode it again")
    if number < len(numbers):
        raise MediaError(f"{path}: damaged after {number} frames of its span; copy or encode it again")


def _part(
    container: InputContainer, stream: VideoStream, index: FrameIndex, numbers: range
) -> Iterator[VideoFrame]:
    """Decode the frames of these numbers, from the key frame before them on; fewer where the file is damaged."""
    if not index.exact:
        yield from islice(_frames(container, stream), numbers.start, numbers.stop)
        return
    number = numbers.start
    for frame in _frames_from(container, stream, index, number):
        if frame.pts is not None and frame.pts < index.times[number]:
            continue
        if frame.pts != index.times[number]:
            return
        yield frame
        number += 1
        if number == numbers.stop:
            return


def _frames_from(
    container: InputContainer, stream: VideoStream, index: FrameIndex, number: int
) -> Iterator[VideoFrame]:
    """Decode from a key frame that is shown no later than the frame of this number.

    A container finds key frames by the order in which they are stored: one that is stored before a frame may be
    shown after it, and then the one before that is taken.
    """
    time, back = index.times[number], round(1 / index.unit)
    place = time
    while number:
        container.seek(place, stream=stream)
        frames = _frames(container, stream)
        first = next(frames, None)
        if first is not None and first.pts is not None and first.pts <= time:
            yield first
            yield from frames
            return
        if place <= index.times[0]:
            break
        place, back = max(index.times[0], time - back), 4 * back
    container.seek(index.times[0], stream=stream)
    yield from _frames(container, stream)


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
