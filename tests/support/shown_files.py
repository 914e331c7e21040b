"""Videos and images whose stored pixels differ from what a player shows."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from cosmos_batch.media.video import Frames

UPRIGHT = np.zeros((96, 160, 3), np.uint8)
"""Red top left, green top right, blue bottom left, white bottom right."""
UPRIGHT[:48, :80], UPRIGHT[:48, 80:] = (255, 0, 0), (0, 255, 0)
UPRIGHT[48:, :80], UPRIGHT[48:, 80:] = (0, 0, 255), (255, 255, 255)

_TRANSPOSED = UPRIGHT.transpose(1, 0, 2)
_ONE = 1 << 16
ORIENTATIONS = {
    1: (UPRIGHT, (_ONE, 0, 0, _ONE)),
    2: (UPRIGHT[:, ::-1], (-_ONE, 0, 0, _ONE)),
    3: (UPRIGHT[::-1, ::-1], (-_ONE, 0, 0, -_ONE)),
    4: (UPRIGHT[::-1], (_ONE, 0, 0, -_ONE)),
    5: (_TRANSPOSED, (0, _ONE, _ONE, 0)),
    6: (np.rot90(UPRIGHT), (0, _ONE, -_ONE, 0)),
    7: (_TRANSPOSED[::-1, ::-1], (0, -_ONE, -_ONE, 0)),
    8: (np.rot90(UPRIGHT, 3), (0, -_ONE, _ONE, 0)),
}
"""By EXIF's number: the stored picture, and (a, b, c, d) of the display matrix that makes it `UPRIGHT`."""


def is_upright(picture: Frames) -> bool:
    """Whether a picture of any size shows `UPRIGHT`."""
    shown = cv2.resize(picture, (160, 96), interpolation=cv2.INTER_NEAREST)
    wide = picture.shape[1] > picture.shape[0]
    return wide and bool(np.abs(shown.astype(int) - UPRIGHT).mean() < 20)


def encoded(
    path: Path,
    pictures: Iterable[Frames],
    codec: str = "libx264",
    pixels: str = "yuv420p",
    *,
    options: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    pixel_shape: Fraction | None = None,
) -> Path:
    """Encode pictures of 3 or 4 channels at 24 fps, without colour tags beside `tags`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24, options=options or {})
        stream.pix_fmt = pixels
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        if pixel_shape:
            stream.codec_context.sample_aspect_ratio = pixel_shape
        for index, picture in enumerate(pictures):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
            layout = "rgba" if picture.shape[2] == 4 else "rgb24"
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=layout)
            frame.pts, frame.time_base = index, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turned_video(path: Path, orientation: int, codec: str = "libx264") -> Path:
    """A video of three frames whose display matrix makes it `UPRIGHT`."""
    picture, (a, b, c, d) = ORIENTATIONS[orientation]
    data = bytearray(encoded(path, [picture] * 3, codec).read_bytes())
    at = data.find(b"tkhd") + 4
    at += 20 + 20 if data[at] == 0 else 32 + 20  # past the version, times and reserved fields
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def turned_image(path: Path, orientation: int) -> Path:
    """A JPEG or PNG whose EXIF makes it `UPRIGHT`."""
    picture = np.ascontiguousarray(ORIENTATIONS[orientation][0])[..., ::-1]
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
    data = path.read_bytes()
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x112, 3, 1, orientation, 0, 0)
    if path.suffix == ".png":
        chunk = b"eXIf" + tiff
        part = struct.pack(">I", len(tiff)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        path.write_bytes(data[:33] + part + data[33:])
    else:
        part = b"Exif\0\0" + tiff
        path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part + data[2:])
    return path


def trimmed_video(path: Path, *, skip: int, b_frames: int = 0, frames: int = 24) -> Path:
    """A video of which an edit list hides the first `skip` frames, as `ffmpeg -ss -c copy` makes it."""
    whole = path.with_name(f"whole_{path.name}")
    pictures = [np.full((96, 160, 3), 10 * index, np.uint8) for index in range(frames)]
    encoded(whole, pictures, options={"g": "48", "bf": str(b_frames)})
    with av.open(str(whole)) as old, av.open(str(path), "w") as new:
        source = old.streams.video[0]
        target = new.add_stream_from_template(source)
        assert source.time_base is not None
        shift = round(skip / 24 / source.time_base)
        for packet in old.demux(source):
            if packet.dts is not None and packet.pts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, target
                new.mux(packet)
    return path


def edited_video(path: Path, edits: list[tuple[int, int]]) -> Path:
    """A video of 24 frames at 24 fps, whose edit list is `edits`: (duration, start) in frames; start -1: empty."""
    pictures = [np.full((96, 160, 3), 10 * index, np.uint8) for index in range(24)]
    data = encoded(path, pictures, options={"bf": "0", "g": "1"}).read_bytes()
    moov, elst = data.find(b"moov") - 4, data.find(b"elst") - 4
    tick = struct.unpack(">I", data[data.find(b"mdhd") + 16 :][:4])[0] // 24
    entries = b"".join(
        struct.pack(">IiI", frames * 1000 // 24, start * tick if start >= 0 else -1, 1 << 16)
        for frames, start in edits
    )
    box = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(edits)) + entries
    old = struct.unpack(">I", data[elst : elst + 4])[0]
    grown = bytearray(data[:elst] + box + data[elst + old :])
    for name in (b"moov", b"trak", b"edts"):
        at = data.find(name) - 4
        size = struct.unpack(">I", data[at : at + 4])[0]
        grown[at : at + 4] = struct.pack(">I", size + len(box) - old)
    assert data.find(b"mdat") < moov  # so that no offset of a frame changes
    path.write_bytes(grown)
    return path
