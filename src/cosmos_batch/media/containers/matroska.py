"""Matroska and WebM: elements with their sizes (RFC 8794, RFC 9559)."""

from __future__ import annotations

from typing import BinaryIO

from cosmos_batch.media.containers.parts import MOST_PARTS

_SEGMENT = 0x18538067
_CLUSTER = 0x1F43B675


def missing_in_matroska(stream: BinaryIO, size: int) -> str | None:
    """Find the first element that ends after the file does.

    A segment or cluster of unknown size, as in a live recording, ends with its last whole element.
    """
    at = 0
    for _ in range(MOST_PARTS):
        if at >= size:
            break
        stream.seek(at)
        head = stream.read(12)
        name, length = _number(head, keep_mark=True)
        count, more = _number(head[length:], keep_mark=False)
        begin = at + length + more
        if not length or not more:
            return f"it ends within an element that begins at byte {at}"
        unknown = count == (1 << 7 * more) - 1
        if not unknown and begin + count > size:
            return f"its header says {begin + count} bytes, and it has {size}"
        # A segment of known size is as long as the file; one of unknown size is read element by element.
        at = begin if unknown and name in (_SEGMENT, _CLUSTER) else begin + count
        if unknown and name not in (_SEGMENT, _CLUSTER):
            return None
    return None


def _number(data: bytes, *, keep_mark: bool) -> tuple[int, int]:
    """A number of variable length, and its length in bytes, which is 0 where the data ends within it."""
    if not data or not data[0]:
        return 0, 0
    length = 9 - data[0].bit_length()
    if length > len(data):
        return 0, 0
    value = int.from_bytes(data[:length])
    return (value if keep_mark else value & ((1 << 7 * length) - 1)), length
