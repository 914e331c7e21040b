"""GIF, PNG and JPEG: blocks up to the mark of the end."""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from typing import BinaryIO

from cosmos_batch.media.containers.parts import MOST_PARTS

_NO_END = "the mark of its end is missing"
_LONE = (0x00, 0x01, *range(0xD0, 0xD8))  # after JPEG's 0xFF: no marker, or one without a length


def missing_in_gif(stream: BinaryIO, _size: int) -> str | None:
    """Follow the blocks of a GIF (GIF89a specification) to its trailer."""
    stream.seek(0)
    stream.seek(_palette(stream.read(13)[10:11]), 1)
    for _ in range(MOST_PARTS):
        kind = stream.read(1)
        if not kind:
            return _NO_END
        if kind == b";":
            return None
        if kind == b"!":
            stream.seek(1, 1)
        elif kind == b",":
            stream.seek(_palette(stream.read(9)[8:]) + 1, 1)
        else:
            return None  # not a block of a GIF: damaged, which decoding shows
        while length := stream.read(1):
            if not length[0]:
                break
            stream.seek(length[0], 1)
    return None


def _palette(flags: bytes) -> int:
    """Bytes of the palette that the flags of a screen or picture announce."""
    return 3 << (flags[0] % 8 + 1) if flags and flags[0] & 0x80 else 0


def missing_in_png(stream: BinaryIO, size: int) -> str | None:
    """Follow the chunks of a PNG or APNG (W3C PNG, third edition) to IEND."""
    at = 8
    for _ in range(MOST_PARTS):
        stream.seek(at)
        head = stream.read(8)
        at += 12 + int.from_bytes(head[:4])
        if len(head) < 8 or at > size:
            return _NO_END
        if head[4:] == b"IEND":
            return None
    return None


def missing_in_jpeg(stream: BinaryIO, _size: int) -> str | None:
    """Follow the markers of a JPEG (ITU-T T.81) to the end of its picture, past those in thumbnails."""
    at = 2
    with mmap(stream.fileno(), 0, access=ACCESS_READ) as data:
        for _ in range(MOST_PARTS):
            at = data.find(b"\xff", at)
            if at < 0 or at + 1 >= len(data):
                return _NO_END
            marker = data[at + 1]
            if marker == 0xD9:
                return None
            if marker in _LONE:
                at += 2
            elif marker == 0xFF:
                at += 1
            else:
                at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None
