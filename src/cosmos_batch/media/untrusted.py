"""Checks of files from clients, by their first bytes and never by name, before a decoder opens them.

libav opens far more than videos: a playlist names further files and addresses, a picture of a few kilobytes claims
gigapixels. Every file from a client passes these checks first.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av

from cosmos_batch.errors import MediaError
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.media.label_masks import probe_labels
from cosmos_batch.media.video import MAX_SIDE, probe
from cosmos_batch.spans import file_of

MAX_PIXELS = 8192 * 4352
"""Pixels of a frame: 8K video with the rows that codecs pad it with."""

MAX_DECODED = 1200 * 1920 * 1080
"""Pixels of a video that are decoded to find damage: 40 s of 1080p at 30 fps, or 90 s of 720p."""

HEAD_BYTES = 1 << 16  # of a file that are read; a JPEG's size follows its thumbnail, if it has one

_Kind = tuple[str, str]  # suffix, MIME type
LABELS: _Kind = ("npz", "application/octet-stream")
"""Kind of a file of labels, which may be a mask of guided generation and nothing else."""


def _is_mp4(head: bytes) -> bool:
    return head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "


_KINDS: tuple[tuple[Callable[[bytes], bool], _Kind], ...] = (
    (_is_mp4, ("mp4", "video/mp4")),
    (lambda head: head[:4] == b"\x1a\x45\xdf\xa3", ("mkv", "video/x-matroska")),
    (_is_avi, ("avi", "video/x-msvideo")),
    (lambda head: head[:8] == b"\x89PNG\r\n\x1a\n", ("png", "image/png")),
    (lambda head: head[:3] == b"\xff\xd8\xff", ("jpg", "image/jpeg")),
    (lambda head: head[:4] == b"PK\x03\x04", LABELS),
)
_FORMATS = "mov,matroska,webm,avi,png_pipe,jpeg_pipe,image2"  # of libav, for the kinds above
_REMEDY = "send an MP4, MOV, MKV, WebM or AVI video, or a PNG or JPEG image"


def file_type(path: Path) -> tuple[str, str]:
    """Suffix and MIME type of a file by its content. Raises MediaError for no video, image or labels."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror}") from error
    kind = next((kind for matches, kind in _KINDS if matches(head)), None)
    if kind is None:
        raise MediaError(f"{path}: is no video or image of a kind that is taken; {_REMEDY}")
    return kind


def probe_untrusted(path: Path) -> VideoInfo:
    """Probe a file that may be anything.

    Raises MediaError, before a frame is decoded, for a file that is no video or image, claims more than
    `MAX_PIXELS`, or refers to other files; and for one that is damaged within its first `MAX_DECODED` pixels.
    """
    file = file_of(path)
    suffix, _ = kind = file_type(file)
    if kind == LABELS:
        return probe_labels(file, to_end=True, most_pixels=MAX_DECODED)
    if suffix == "png":
        _check_png(file)
    _check_header(file)
    return probe(path, to_end=True, most_pixels=MAX_DECODED)


def _check_png(path: Path) -> None:
    """Check the size of a PNG before libav, which decodes a picture when it opens it."""
    with path.open("rb") as stream:
        head = stream.read(33)
    if len(head) < 33 or head[12:16] != b"IHDR":
        raise MediaError(f"{path}: a PNG without a header; {_REMEDY}")
    _check_size(path, *struct.unpack(">II", head[16:24]))


def _check_header(path: Path) -> None:
    options = {"max_pixels": str(MAX_PIXELS), "format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    try:
        with av.open(str(path), options=options, metadata_errors="replace") as container:
            for stream in container.streams.video:
                if stream.codec_context is not None:  # None: of a codec without a decoder, which `probe` refuses
                    _check_size(path, stream.codec_context.width, stream.codec_context.height)
            if not container.streams.video:
                raise MediaError(f"{path}: there is no video in it; {_REMEDY}")
    except (av.error.FFmpegError, MemoryError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise MediaError(f"{path}: cannot be opened as a video or image ({cause}); {_REMEDY}") from error


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise MediaError(
            f"{path}: claims {width}x{height} pixels, and at most {MAX_PIXELS} are taken; scale it down"
        )
