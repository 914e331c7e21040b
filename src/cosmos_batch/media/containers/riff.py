"""RIFF: AVI and WebP (Microsoft's multimedia programming interface 1.0, and OpenDML 1.02 for large AVI)."""

from __future__ import annotations

from typing import BinaryIO

_UNFINISHED = (0, 0xFFFFFFFF)  # sizes of a file whose writer could not go back to its header


def missing_in_avi(stream: BinaryIO, size: int) -> str | None:
    """Find a RIFF chunk that ends after the file does; a large file has several."""
    at = 0
    while at + 12 <= size:
        stream.seek(at)
        head = stream.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or length in _UNFINISHED:
            return None
        end = at + 8 + length
        if end > size:
            return f"its header says {end} bytes, and it has {size}"
        at = end + length % 2
    return None


def missing_in_webp(stream: BinaryIO, size: int) -> str | None:
    """Compare the size in the header with that of the file."""
    return missing_in_avi(stream, size)
