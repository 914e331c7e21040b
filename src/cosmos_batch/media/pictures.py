"""Writes picture files, the outputs of runs of one frame: PNG and JPEG, through OpenCV, whole or not at all.

Both carry texts by name: a PNG in tEXt chunks, a JPEG in comments that read `name=text`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import cv2

from cosmos_batch.errors import MediaError
from cosmos_batch.media.atomic import replacing
from cosmos_batch.media.video import Frames, encoding_of

PictureSuffix = Literal["png", "jpg"]

_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 97, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
_PNG_MAGIC, _JPEG_MAGIC = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_HEADER_END = 33  # bytes of a PNG up to the end of its first chunk, IHDR
_APP0, _COMMENT, _SCAN, _END = 0xE0, 0xFE, 0xDA, 0xD9  # markers of a JPEG
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_LOSSLESS_PICTURES = frozenset({"png", "apng", "gif", "bmp", "tiff", "webp", "exr"})  # codecs, as libav names them


def picture_suffix(path: str | Path) -> PictureSuffix:
    """The kind of picture that is made of a frame of this file, by its contents.

    A picture of a kind without loss gives a PNG; a JPEG and a video, as with NVIDIA's scripts, a JPEG. Raises
    MediaError for a file that cannot be opened.
    """
    return "png" if encoding_of(path)[0] in _LOSSLESS_PICTURES else "jpg"


def write_picture(path: str | Path, picture: Frames, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write one frame, uint8 [height, width, 3], as the suffix of the path says: .png or .jpg.

    A PNG is lossless; a JPEG has quality 97 and colour at full resolution. Equal input gives equal bytes.
    `metadata`, of ASCII text, is readable with `read_texts`. Raises MediaError and StorageError.
    """
    path = Path(path)
    parameters = () if path.suffix == ".png" else _JPEG
    done, data = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), parameters)
    if not done:
        raise MediaError(f"{path}: cannot be encoded")
    _write(path, _tagged(data.tobytes(), metadata or {}))


def tag_picture(source: str | Path, target: str | Path, metadata: Mapping[str, str]) -> None:
    """Copy a PNG or JPEG with texts of ASCII added, its pixels as they are. Raises MediaError and StorageError."""
    data = _read(Path(source))
    if not data.startswith((_PNG_MAGIC, _JPEG_MAGIC)):
        raise MediaError(f"{source}: no PNG or JPEG")
    _write(Path(target), _tagged(data, metadata))


def read_texts(path: str | Path) -> dict[str, str]:
    """The texts of a PNG or JPEG by name, as `write_picture` leaves them. Raises MediaError if it is neither."""
    data = _read(Path(path))
    if data.startswith(_PNG_MAGIC):
        found = (body.partition(b"\0") for kind, body in _chunks(data) if kind == b"tEXt")
    elif data.startswith(_JPEG_MAGIC):
        found = (body.partition(b"=") for marker, body in _segments(data) if marker == _COMMENT)
    else:
        raise MediaError(f"{path}: no PNG or JPEG")
    return {name.decode("latin-1"): text.decode("latin-1") for name, _, text in found}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror})") from error


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as part:
        part.write_bytes(data)


def _tagged(data: bytes, metadata: Mapping[str, str]) -> bytes:
    """The file with these texts right after its header."""
    pairs = [(name.encode("ascii"), text.encode("ascii")) for name, text in metadata.items()]
    if data.startswith(_PNG_MAGIC):
        texts = b"".join(_chunk(b"tEXt", name + b"\0" + text) for name, text in pairs)
        return data[:_HEADER_END] + texts + data[_HEADER_END:]
    end = 4 + struct.unpack(">H", data[4:6])[0] if data[3] == _APP0 else 2  # APP0, if there is one, is first
    comments = b"".join(_segment(_COMMENT, name + b"=" + text) for name, text in pairs)
    return data[:end] + comments + data[end:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG: kind and body."""
    place = len(_PNG_MAGIC)
    while place + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        yield kind, data[place + 8 : place + 8 + length]
        place += 12 + length


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The segments of a JPEG before its picture: marker and body."""
    place = len(_JPEG_MAGIC)
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] not in (_SCAN, _END):
        marker = data[place + 1]
        if marker in _BARE:
            place += 2
            continue
        length = struct.unpack(">H", data[place + 2 : place + 4])[0]
        yield marker, data[place + 4 : place + 2 + length]
        place += 2 + length
