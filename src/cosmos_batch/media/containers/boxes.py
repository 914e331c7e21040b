"""MP4 and MOV in fragments: boxes with their sizes, and segment indexes (ISO/IEC 14496-12).

A file in one piece has an index of all its frames, with which they are compared elsewhere.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from cosmos_batch.media.containers.parts import MOST_PARTS

_MOST_INDEX = 1 << 20  # bytes: its number of entries has 16 bits


def missing_in_mp4(stream: BinaryIO, size: int) -> str | None:
    """Find the index, or a box or fragment of a file in fragments, that ends after the file does."""
    in_fragments, whole_index, furthest, at = False, True, 0, 0
    for _ in range(MOST_PARTS):
        if at >= size:
            break
        kind, begin, at = _box(stream, at, size)
        whole_index &= kind != b"moov" or at <= size
        in_fragments |= kind == b"moof"
        indexed = _indexed_end(stream, begin, at) if kind == b"sidx" and at <= size else 0
        furthest = max(furthest, at, indexed)
    if not whole_index:
        return "it ends within its index"
    if in_fragments and furthest > size:
        return f"its fragments take {furthest} bytes, and it has {size}"
    return None


def _box(stream: BinaryIO, at: int, size: int) -> tuple[bytes, int, int]:
    """Kind, start of the content, and end of the box at a place."""
    stream.seek(at)
    head = stream.read(16)
    length, begin = int.from_bytes(head[:4]), at + 8
    if length == 1:
        length, begin = int.from_bytes(head[8:16]), at + 16
    end = at + length if length else size  # 0: to the end of the file
    return head[4:8], begin, max(begin, end)


def _indexed_end(stream: BinaryIO, begin: int, end: int) -> int:
    """Where the last fragment ends that a segment index names; 0 for an index that cannot be read."""
    stream.seek(begin)
    data = stream.read(min(end - begin, _MOST_INDEX))
    wide = bool(data and data[0])  # of version 1
    places = struct.Struct(">QQHH" if wide else ">IIHH")
    if len(data) < 12 + places.size:
        return 0
    _, offset, _, count = places.unpack_from(data, 12)
    entries = data[12 + places.size :]
    if len(entries) < 12 * count:
        return 0
    sizes = [int.from_bytes(entries[i : i + 4]) & 0x7FFFFFFF for i in range(0, 12 * count, 12)]
    return end + int(offset) + sum(sizes)
