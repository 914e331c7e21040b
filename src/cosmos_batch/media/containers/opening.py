"""Opens video files through PyAV, and translates its errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from cosmos_batch.errors import MediaError
from cosmos_batch.media.containers.whole import missing_end
from cosmos_batch.spans import file_of

NO_MEMORY = "memory ran out while it was read; free some, or use fewer or smaller frames"
"""The cause of an error, and what to do."""


@contextmanager
def opened(
    path: str | Path, options: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its video stream; errors of libav inside the context become MediaError."""
    try:
        # The whitelist prevents that a playlist in place of a video opens addresses.
        allowed = {"protocol_whitelist": "file", **options}
        with av.open(str(file_of(path).absolute()), options=allowed, metadata_errors="replace") as container:
            streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
            if not streams:
                check_end(path)
                kinds = " and ".join(sorted({stream.type for stream in container.streams}))
                found = f"no video in it, only {kinds}" if kinds else "not a single frame in it"
                raise MediaError(f"{path}: {found}; supply a video file")
            if not isinstance(streams[0].codec_context, VideoCodecContext):
                raise MediaError(f"{path}: no decoder knows its video codec; encode it as H.264, for example")
            streams[0].thread_type = "AUTO"
            yield container, streams[0]
    except (av.error.FFmpegError, OSError, MemoryError, ValueError) as error:
        raise MediaError(f"{path}: {cause_of(error)}") from error


def cause_of(error: Exception) -> str:
    """The cause of an error while a video was read, and what to do."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
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


def check_end(path: str | Path, *, fewer_frames: bool = True, last_is_cut: bool = False) -> None:
    """Raise MediaError for a file that is cut short, by what its container says."""
    missing = missing_end(file_of(path), fewer_frames=fewer_frames)
    if missing or last_is_cut:
        missing = missing or "its last frame is not whole"
        raise MediaError(f"{path}: the file was cut short: {missing}; copy or encode it again")
