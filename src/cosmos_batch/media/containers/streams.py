"""Transport streams, Ogg, FLV and ASF (WMV): packets, pages and tags with their sizes."""

from __future__ import annotations

import struct
from typing import BinaryIO

from cosmos_batch.media.containers.parts import MOST_PARTS

_OGG_PAGE = 27 + 255 + 255 * 255  # bytes of the largest page
_LAST_PAGE = 4  # flag of the last page of a stream in Ogg
_TAG = 11  # bytes of the head of a tag in FLV; four more, with its size, follow the tag
_HEAD = 1 << 16  # bytes in which the properties of a file are
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST = 1  # flag: the sizes are not known


def missing_in_ts(size: int, packet: int) -> str | None:
    """Whether a transport stream (ISO/IEC 13818-1) ends within a packet of so many bytes."""
    rest = size % packet
    return f"its last packet has {rest} of {packet} bytes" if rest else None


def missing_in_ogg(stream: BinaryIO, size: int) -> str | None:
    """Find the last page (RFC 3533): it is whole, and says that it is the last."""
    start = max(0, size - 2 * _OGG_PAGE)
    stream.seek(start)
    data = stream.read()
    page = data[data.rfind(b"OggS") :]
    if len(page) < 27:
        return "its last page is not whole"
    segments = page[26]
    if len(page) < 27 + segments + sum(page[27 : 27 + segments]):
        return "its last page is not whole"
    return None if page[5] & _LAST_PAGE else "no page says that it is the last"


def missing_in_flv(stream: BinaryIO, size: int) -> str | None:
    """Follow the tags (Adobe's FLV specification 10.1), and compare the size in the metadata."""
    stream.seek(0)
    head = stream.read(_HEAD)
    found = head.find(b"filesize\x00")
    if 0 <= found <= len(head) - 17:
        (said,) = struct.unpack_from(">d", head, found + 9)
        if said > size:
            return f"its metadata says {said:.0f} bytes, and it has {size}"
    at = int.from_bytes(head[5:9]) + 4
    for _ in range(MOST_PARTS):
        if at >= size:
            break
        stream.seek(at)
        tag = stream.read(_TAG)
        at += _TAG + int.from_bytes(tag[1:4])
        if len(tag) < _TAG or at > size:
            return "it ends within a tag"
        at += 4
    return None


def missing_in_asf(stream: BinaryIO, size: int) -> str | None:
    """Compare the size in the file properties (ASF specification 3.2) with that of the file."""
    stream.seek(0)
    head = stream.read(_HEAD)
    at = head.find(_ASF_PROPERTIES)
    if not 0 <= at <= len(head) - 92:
        return None
    (said,) = struct.unpack_from("<Q", head, at + 40)
    (flags,) = struct.unpack_from("<I", head, at + 88)
    if flags & _ASF_BROADCAST or said <= size:
        return None
    return f"its header says {said} bytes, and it has {size}"
