"""Small videos whose frames show their own number, so that a test can read which frame a browser shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosmos_batch.media.encode import write_video

WIDTH, HEIGHT, BLOCK = 320, 192, 24
BITS = 7

SHOWN = f"""() => [...document.querySelectorAll('.stage video')].map((video) => {{
  const canvas = Object.assign(document.createElement('canvas'), {{ width: {WIDTH}, height: {HEIGHT} }});
  const brush = canvas.getContext('2d', {{ willReadFrequently: true }});
  brush.drawImage(video, 0, 0, {WIDTH}, {HEIGHT});
  const white = (bit) => brush.getImageData((bit + 0.5) * {BLOCK}, {HEIGHT} - {BLOCK} / 2, 1, 1).data[0] > 128;
  return Array.from({{ length: {BITS} }}, (_, bit) => white(bit) * 2 ** bit).reduce((a, b) => a + b);
}})"""
"""JavaScript that returns the number of the frame that each video of the player shows."""


def write_numbered_video(
    path: Path, *, frames: int, fps: float, colour: tuple[int, int, int], metadata: Mapping[str, str] | None = None
) -> Path:
    """Write a video of a moving disc; blocks at the lower edge are the bits of the frame number, white for 1."""
    write_video(path, np.stack([_picture(n, frames, colour) for n in range(frames)]), fps, metadata=metadata)
    return path


def _picture(number: int, frames: int, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    shade = (0.55 + 0.45 * y / HEIGHT)[..., None]
    picture = np.array(colour) * shade * 0.6
    disc = (x - (40 + 240 * number / frames)) ** 2 + (y - 80 - 24 * np.sin(number / 4)) ** 2 < 34**2
    picture[disc] = np.array(colour) * 0.3 + 170
    for bit in range(BITS):
        left = bit * BLOCK
        picture[HEIGHT - BLOCK :, left : left + BLOCK] = 255 if number >> bit & 1 else 0
    return picture.clip(0, 255).astype(np.uint8)
