"""Writes video files: H.264 in MP4, through PyAV, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from cosmos_batch.errors import MediaError
from cosmos_batch.media.atomic import replacing
from cosmos_batch.media.video import Frames

# A fixed number of encoder threads: x264 gives equal bytes for equal input at equal thread counts. This preset at
# 13 is as near to its input as the default one at 15, in 0.4 to 0.8 of the time and 1.2 to 1.3 times the bytes.
_QUALITY = {"crf": "13", "preset": "veryfast", "threads": "8", "keyint_min": "25"}
_LOSSLESS = {"crf": "0", "preset": "veryfast", "threads": "4"}
_STEADY = {"x264-params": "asm=avx2"}
"""With AVX-512, x264's result depends on the memory beside a picture, so that equal input gives other bytes; with
AVX2 it does not."""
_AVX512 = (11, 13)  # AVX2, and the base of AVX-512, as OpenCV numbers them (CpuFeatures in cvdef.h)
_ENCODED_RATE = 25
"""Frames per second by the encoder's clock, whatever the rate of the file: x264 spends bits by the duration of a
frame, so that the real rate would change the quality of equal frames (by 16 steps of QP from 1 to 100 fps)."""
_MP4 = {"movflags": "+faststart+use_metadata_tags"}
_BT709 = 1  # the number of ITU-R BT.709 in ISO/IEC 23091-2, for matrix, primaries and transfer alike


def write_video(
    path: str | Path,
    frames: Iterable[Frames],
    fps: float | Fraction,
    *,
    lossless: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write frames (an array [frames, height, width, 3], or pictures one by one) as an H.264 video in MP4.

    Default: visually lossless (crf 13), yuv420p in BT.709, which every player shows; a picture with an odd side
    keeps its size by yuv444p, which some players refuse. `lossless`: RGB that reads back bit for bit. `metadata`
    is readable with `read_metadata`. Equal input gives equal bytes, and the file appears whole or not at all.
    Raises MediaError if it cannot be written, and ValueError for frames that are not uint8 RGB of one size.
    """
    path, pictures = Path(path), iter(frames)
    first = next(pictures, None)
    if first is None:
        raise MediaError(f"{path}: there is no frame to write")
    rate = _fraction(fps)
    with replacing(path) as part:
        try:
            with av.open(str(part.absolute()), "w", format="mp4", options=_MP4) as container:
                container.metadata.update(metadata or {})
                _encode(container, first, pictures, rate, lossless)
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise  # a fault of the disk: `replacing` translates it
            raise MediaError(f"{path}: cannot be encoded ({error.strerror})") from error


def tag_video(source: str | Path, target: str | Path, metadata: Mapping[str, str]) -> None:
    """Copy a video's encoded pictures to an MP4 with this metadata.

    Nothing is decoded, so a damaged frame is not detected. The copy appears whole or not at all.
    Raises MediaError if the source is no video, or one that MP4 cannot hold.
    """
    source, target = Path(source), Path(target)
    allowed = {"protocol_whitelist": "file"}
    with replacing(target) as part:
        try:
            with (
                av.open(str(source.absolute()), options=allowed, metadata_errors="replace") as old,
                av.open(str(part.absolute()), "w", format="mp4", options=_MP4) as new,
            ):
                if not old.streams.video:
                    raise MediaError(f"{source}: no video in it")
                new.metadata.update(metadata)
                stream = new.add_stream_from_template(old.streams.video[0])
                for packet in old.demux(old.streams.video[0]):
                    if packet.dts is not None:
                        packet.stream = stream
                        new.mux(packet)
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
                raise  # a fault of the disk: `replacing` translates it
            raise MediaError(f"{source}: cannot be copied as a video ({error})") from error


def _encode(
    container: OutputContainer, first: Frames, rest: Iterable[Frames], rate: Fraction, lossless: bool
) -> None:
    stream = _stream(container, first, rate, lossless)
    for index, picture in enumerate(chain([first], rest)):
        if picture.shape != first.shape:
            raise ValueError(f"frame {index} is {picture.shape}, the first one {first.shape}")
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        if not lossless:
            frame = frame.reformat(
                format=stream.pix_fmt, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
        frame.pts, frame.time_base = index, Fraction(1, _ENCODED_RATE)
        _mux(container, stream.encode(frame), rate)
    _mux(container, stream.encode(None), rate)


def _mux(container: OutputContainer, packets: Iterable[Packet[VideoStream]], rate: Fraction) -> None:
    """Write packets, each a frame long at the real rate."""
    for packet in packets:
        packet.time_base, packet.duration = 1 / rate, 1
        container.mux(packet)


def _fraction(fps: float | Fraction) -> Fraction:
    """A rate as a fraction of small numbers, such as 30000/1001; below 1, its interval as one."""
    rate = Fraction(fps)
    return rate.limit_denominator(1001) if rate >= 1 else 1 / (1 / rate).limit_denominator(1001)


def _has_avx512() -> bool:
    return all(map(cv2.checkHardwareSupport, _AVX512))


def _stream(container: OutputContainer, first: Frames, rate: Fraction, lossless: bool) -> VideoStream:
    if first.ndim != 3 or first.shape[2] != 3 or first.dtype != "uint8":
        raise ValueError(f"frames are uint8 [height, width, 3], and these are {first.dtype} {first.shape}")
    height, width = first.shape[:2]
    stream = container.add_stream("libx264rgb" if lossless else "libx264", rate=rate)
    stream.options = dict(_LOSSLESS if lossless else _QUALITY)
    if _has_avx512():
        stream.options |= _STEADY
    stream.width, stream.height = width, height
    stream.codec_context.time_base, stream.time_base = Fraction(1, _ENCODED_RATE), 1 / rate
    if lossless:
        stream.pix_fmt = "rgb24"
        return stream
    stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = ColorRange.MPEG
    return stream
