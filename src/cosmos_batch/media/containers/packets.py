"""Counts the frames of video files packet by packet, without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from cosmos_batch.errors import MediaError
from cosmos_batch.media.containers.opening import check_end, opened


@dataclass(frozen=True, slots=True)
class CountedFrames:
    """Packets of a file, counted without decoding."""

    times: list[int | None]  # presentation times of the packets that become frames
    certain: bool  # the container gives the same number
    unit: Fraction | None = None  # seconds, of the times
    ordered: bool = False  # the container keeps the time of every frame


def count_frames(path: str | Path) -> CountedFrames:
    """Count packets. Raises MediaError for a file that has fewer packets than its header says."""
    with opened(path) as (container, stream):
        times, damaged, cut = _packet_times(container, stream)
        declared, unit = stream.frames, stream.time_base
        indexed = "mp4" in container.format.name
        matroska = "matroska" in container.format.name
        if not (indexed and len(times) < declared):  # else its frames are compared below
            check_end(path, fewer_frames=len(times) < declared, last_is_cut=cut)
    if indexed and len(times) < declared:
        _check_whole(path, declared)
    certain = not damaged and declared == len(times)
    return CountedFrames(times, certain, unit, (indexed and certain) or (matroska and not damaged))


def _check_whole(path: str | Path, declared: int) -> None:
    """Raise MediaError unless all packets are there, also those that an edit list hides."""
    with opened(path, {"ignore_editlist": "1"}) as (container, stream):
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
