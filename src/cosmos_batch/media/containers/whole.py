"""Checks that a video file is not cut short, by what its container says of its own length, without decoding.

libav reads a cut file as a shorter video: it takes the end of the file for the end of the video.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from cosmos_batch.media.containers.boxes import missing_in_mp4
from cosmos_batch.media.containers.matroska import missing_in_matroska
from cosmos_batch.media.containers.pictures import missing_in_gif, missing_in_jpeg, missing_in_png
from cosmos_batch.media.containers.riff import missing_in_avi, missing_in_webp
from cosmos_batch.media.containers.streams import missing_in_asf, missing_in_flv, missing_in_ogg, missing_in_ts

Check = Callable[[BinaryIO, int], str | None]
"""Says what is missing from a file of so many bytes; None: nothing that its container shows."""

_HEAD = 400  # bytes: three packets of a transport stream
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


def missing_end(path: Path, *, fewer_frames: bool) -> str | None:
    """What is missing at the end of a file, for a message; None: nothing, or the container does not show it.

    `fewer_frames`: whether fewer frames were found than the header says. An AVI is cut only where that is so,
    because programs write its sizes wrong. Raises OSError.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        head = stream.read(_HEAD)
        if head[:4] == b"RIFF" and head[8:12] == b"AVI " and not fewer_frames:
            return None
        check = _check_of(head)
        return check(stream, size) if check else None


def _check_of(head: bytes) -> Check | None:
    for offset, magic, check in _MAGIC:
        if head[offset:].startswith(magic):
            return check
    for length, start in ((188, 0), (192, 4), (204, 0)):  # plain, with time codes, with error correction
        if head[start::length][:2] == b"GG" and len(head) > start + length:
            return lambda _, size: missing_in_ts(size, length)
    return None


_MAGIC: tuple[tuple[int, bytes, Check], ...] = (
    (0, b"\x1a\x45\xdf\xa3", missing_in_matroska),
    (8, b"AVI ", missing_in_avi),
    (8, b"WEBP", missing_in_webp),
    (4, b"ftyp", missing_in_mp4),
    (4, b"styp", missing_in_mp4),
    (0, b"OggS", missing_in_ogg),
    (0, b"FLV\x01", missing_in_flv),
    (0, _ASF, missing_in_asf),
    (0, b"GIF8", missing_in_gif),
    (0, b"\x89PNG\r\n\x1a\n", missing_in_png),
    (0, b"\xff\xd8\xff", missing_in_jpeg),
)
