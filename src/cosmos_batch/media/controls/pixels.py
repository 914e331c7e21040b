"""Control videos computed from pixels: edges, blur, and the colouring of depth and segments.

Everything here is a pure function of its arguments: equal input gives equal output.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from cosmos_batch.errors import MediaError
from cosmos_batch.media.video import Frames
from cosmos_batch.run import Strength

CANNY: dict[Strength, tuple[int, int]] = {
    "very_low": (20, 50),
    "low": (50, 100),
    "medium": (100, 200),
    "high": (200, 300),
    "very_high": (300, 400),
}
"""Lower and upper Canny threshold of each preset: `AddControlInputEdge` in
cosmos_transfer2/_src/transfer2/datasets/augmentors/control_input.py of cosmos-transfer2.5; the same in
cosmos_transfer1/auxiliary/edge_control/edge_control.py of cosmos-transfer1."""

BLUR: dict[Strength, tuple[int, int]] = {
    "very_low": (1, 4),
    "low": (4, 4),
    "medium": (2, 10),
    "high": (1, 16),
    "very_high": (4, 16),
}
"""Factors of each preset: by which the picture is shrunk before the bilateral filter, and shrunk and enlarged
after it (`AddControlInputBlur`, same file of cosmos-transfer2.5)."""

BILATERAL = (30, 150.0, 100.0)
"""Diameter in pixels, sigma of colour, sigma of space, for every preset: `BilateralFilterConfig` in
cosmos_transfer2/_src/transfer2/datasets/augmentors/blur.py of cosmos-transfer2.5."""


def make_control(name: str, frames: Frames, preset: Strength) -> Frames:
    """The edge or vis control of a video, [frames, height, width, 3] to the same.

    Raises MediaError for a control that cannot be computed from pixels alone.
    """
    make = _MAKERS.get(name)
    if make is None:
        raise MediaError(f"control {name}: it cannot be computed from the pixels; supply its control video")
    return np.stack([make(frame, preset) for frame in frames])


def edges(frame: Frames, preset: Strength) -> Frames:
    """Canny edges, white on black, [height, width, 3]."""
    lower, upper = CANNY[preset]
    edge = np.asarray(cv2.Canny(frame, lower, upper), np.uint8)
    return np.repeat(edge[..., None], 3, axis=-1)


def blur(frame: Frames, preset: Strength) -> Frames:
    """Bilateral filter at reduced size, then bicubic shrinking and enlarging, [height, width, 3]."""
    height, width = frame.shape[:2]
    before, after = BLUR[preset]
    small = cv2.resize(frame, _shrunk(width, height, before), interpolation=cv2.INTER_AREA)
    flat = cv2.resize(cv2.bilateralFilter(small, *BILATERAL), (width, height), interpolation=cv2.INTER_LINEAR)
    return _bicubic(_bicubic(np.asarray(flat, np.uint8), _shrunk(width, height, after)), (width, height))


def grey_depth(depth: NDArray[np.float32]) -> Frames:
    """Depth of any scale, [frames, height, width], as grey from 0 (least of the video) to 255, [..., 3].

    Normalised over the whole video, as in cosmos_transfer1/auxiliary/depth_anything/model/depth_anything.py.
    """
    least, span = depth.min(), depth.max() - depth.min()
    grey = ((depth - least) / (span + 1e-8) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def coloured_masks(masks: NDArray[np.bool_]) -> Frames:
    """Masks of objects as distinct colours on black: [objects, frames, height, width] to [..., 3].

    Larger objects are painted first, smaller ones over them, as `segmentation_color_mask` of NVIDIA's
    datasets/augmentors/seg.py does; its colours are random, and here they are fixed.
    """
    out = np.zeros((*masks.shape[1:], 3), np.uint8)
    sizes = masks.sum(axis=(1, 2, 3))
    for place, index in enumerate(np.argsort(-sizes, kind="stable")):
        out[masks[index]] = _colour(place)
    return out


def _colour(place: int) -> tuple[int, int, int]:
    """The n-th of a series of distinct colours: hues a golden section apart, at three brightnesses."""
    red, green, blue = colorsys.hsv_to_rgb(
        place * 0.6180339887 % 1, 0.85 - 0.3 * (place % 2), 1 - 0.2 * (place % 3)
    )
    return round(red * 255), round(green * 255), round(blue * 255)


def _shrunk(width: int, height: int, factor: int) -> tuple[int, int]:
    return max(1, width // factor), max(1, height // factor)


def _bicubic(frame: Frames, size: tuple[int, int]) -> Frames:
    """Antialiased bicubic resampling in float32, as torchvision resizes a tensor of bytes."""
    planes: Any = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    out = functional.interpolate(
        planes, size=(size[1], size[0]), mode="bicubic", align_corners=False, antialias=True
    )
    return np.ascontiguousarray(out.clamp(0, 255).round().to(torch.uint8)[0].permute(1, 2, 0).numpy())


_MAKERS: dict[str, Callable[[Frames, Strength], Frames]] = {"edge": edges, "vis": blur}
