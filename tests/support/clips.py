"""Small real videos for the tests, and runs that use them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from cosmos_batch.media.encode import write_video
from cosmos_batch.media.video import Frames


def moving(frames: int = 6, width: int = 64, height: int = 48) -> Frames:
    """A bright box that moves over a slope of colours: [frames, height, width, 3]."""
    y, x = np.mgrid[:height, :width]
    slope = np.stack([x * 200 // width, y * 200 // height, np.full_like(x, 40)], axis=-1).astype(np.uint8)
    out = np.repeat(slope[None], frames, axis=0)
    for index, picture in enumerate(out):
        picture[height // 4 : height // 2, 4 + 2 * index : 4 + 2 * index + width // 4] = (250, 240, 90)
    return out


def clip(path: Path, frames: int = 6, width: int = 64, height: int = 48, fps: float = 8) -> Path:
    """Write a small video, lossless, and return its path."""
    write_video(path, moving(frames, width, height), fps, lossless=True)
    return path


def timed_clip(path: Path, milliseconds: list[int]) -> Path:
    """A video whose frames are shown at the given times: a variable frame rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture, time in zip(moving(len(milliseconds)), milliseconds, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rotated_clip(path: Path, degrees: int) -> Path:
    """A 64x48 video with one white corner, whose header says to rotate it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(degrees)
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:16, :16] = 255  # top left, as stored
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def sound(path: Path) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frameless(path: Path, container_format: str = "mp4") -> Path:
    """A video with a header and not one frame."""
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    return path
