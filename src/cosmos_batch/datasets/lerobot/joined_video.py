"""Videos joined into one without encoding again: LeRobot v3 keeps many episodes in one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from cosmos_batch.errors import MediaError
from cosmos_batch.media.atomic import replacing

_MP4 = {"movflags": "+faststart"}


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the videos of one file have in common."""

    codec: str
    width: int  # pixels
    height: int
    pixels: str  # the format of pixels, as libav names it
    header: bytes  # the codec's parameters, which stand once in a file


@dataclass(frozen=True, slots=True)
class EncodedVideo:
    """A video whose packets are known."""

    path: Path
    encoding: Encoding
    shown: tuple[int, ...]  # for each packet, the number of its frame among those that are shown

    @property
    def frames(self) -> int:
        """The number of its frames."""
        return len(self.shown)

    @property
    def delay(self) -> int:
        """The number of frames by which decoding is ahead of showing."""
        return max(number - rank for number, rank in enumerate(self.shown))


def encoded_video(path: Path) -> EncodedVideo:
    """Read the packets of a video, without decoding. Raises MediaError."""
    with _opened(path) as (container, stream):
        times = [packet.pts for packet in _packets(container, stream)]
        context = stream.codec_context
        order = sorted(range(len(times)), key=lambda number: (times[number] or 0, number))
        shown = [0] * len(times)
        for rank, number in enumerate(order):
            shown[number] = rank
        header = bytes(context.extradata or b"")
        pixels = context.pix_fmt or ""
        encoding = Encoding(context.name, context.width, context.height, pixels, header)
    if not times:
        raise MediaError(f"{path}: not a single frame in it; make it again")
    return EncodedVideo(path, encoding, tuple(shown))


def join_videos(videos: Sequence[EncodedVideo], target: Path, rate: Fraction) -> None:
    """Write videos of one encoding one after the other into an MP4, frame n at n / `rate` seconds.

    The file appears whole or not at all. Raises MediaError, and StorageError where it cannot be written.
    """
    delay = max(video.delay for video in videos)
    with replacing(target) as part:
        try:
            with av.open(str(part.absolute()), "w", format="mp4", options=_MP4) as new:
                stream: VideoStream | None = None
                first = 0
                for video in videos:
                    with _opened(video.path) as (container, old):
                        stream = stream or new.add_stream_from_template(old)
                        for packet in _retimed(video, first, delay, _packets(container, old), rate):
                            packet.stream = stream
                            new.mux(packet)
                    first += video.frames
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise  # a fault of the disk: `replacing` translates it
            raise MediaError(f"{target}: cannot be written as MP4 ({error.strerror})") from error


def _retimed(
    video: EncodedVideo, first: int, delay: int, packets: Iterator[Packet[VideoStream]], rate: Fraction
) -> Iterator[Packet[VideoStream]]:
    """The packets of a video with their times in a file where its first frame has the number `first`."""
    for number, packet in enumerate(packets):
        packet.time_base, packet.duration = 1 / rate, 1
        packet.pts, packet.dts = first + video.shown[number], first + number - delay
        yield packet


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Packets that become frames which are shown."""
    return (packet for packet in container.demux(stream) if packet.size and not packet.is_discard)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        with av.open(str(path.absolute()), options={"protocol_whitelist": "file"}) as container:
            if not container.streams.video or not isinstance(
                container.streams.video[0].codec_context, VideoCodecContext
            ):
                raise MediaError(f"{path}: no video in it; make it again")
            yield container, container.streams.video[0]
    except (av.error.InvalidDataError, FileNotFoundError) as error:
        raise MediaError(f"{path}: cannot be read as a video ({error.strerror}); make it again") from error
