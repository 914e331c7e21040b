"""The pocket world on film: RGB in every look, with exact depth and seg, as 8-bit video."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.pocket.geometry import FIRST_SOLID, GROUND, SAMPLES, View, look_at
from training.pocket.looks import HUE_COLOURS, LOOKS, Paint, mix, shade
from training.pocket.scenes import Scenes, make_scenes

WIDTH, HEIGHT, FRAMES, FPS = 160, 96, 17, 8.0
SEG_SKY, SEG_GROUND = (0, 0, 0), (64, 64, 64)


@dataclass(frozen=True, slots=True)
class Film:
    """B scenes as seen by the camera; every video is uint8 [B, T, H, W, 3]."""

    rgb: dict[str, Tensor]  # by look
    depth: Tensor  # near is white; inverse distance, scaled to each video's range
    seg: Tensor  # one colour per thing


def _picture(colours: Tensor) -> Tensor:
    """Rays [B, T, Y, X, 3] -> their mean per pixel, uint8."""
    b, t = colours.shape[:2]
    small = F.avg_pool2d(colours.flatten(0, 1).permute(0, 3, 1, 2), SAMPLES)
    return (small.permute(0, 2, 3, 1).unflatten(0, (b, t)) * 255).round().to(torch.uint8)


def _nearness(view: View) -> Tensor:
    """Inverse depth [B, T, H, W], of one ray per pixel; 0 for the sky."""
    depth = view.depth[:, :, ::SAMPLES, ::SAMPLES]
    return torch.where(depth > 0, 1 / depth.clamp(min=1e-3), 0.0)


def _grey(nearness: Tensor) -> Tensor:
    low, high = nearness.amin((1, 2, 3), keepdim=True), nearness.amax((1, 2, 3), keepdim=True)
    grey = ((nearness - low) / (high - low).clamp(min=1e-6) * 255).round().to(torch.uint8)
    return grey.unsqueeze(-1).expand(*grey.shape, 3)


def _seg(view: View) -> Tensor:
    thing, hue = (part[:, :, ::SAMPLES, ::SAMPLES, None] for part in (view.thing, view.hue))
    colours = (torch.tensor(HUE_COLOURS, device=thing.device) * 255).round().to(torch.uint8)
    solid = colours[hue.squeeze(-1)]
    flat = torch.where(thing == GROUND, colours.new_tensor(SEG_GROUND), colours.new_tensor(SEG_SKY))
    return torch.where(thing >= FIRST_SOLID, solid, flat)


Look = Callable[[Scenes, Tensor, int, int], View]
Shade = Callable[[View, Paint], Tensor]


def film(
    scenes: Scenes,
    paints: Mapping[str, Paint],
    frames: Sequence[int] = range(FRAMES),
    look: Look = look_at,
    shading: Shade = shade,
    at_once: int = FRAMES,
) -> Film:
    """Film scenes at 160x96 in the given paints, `at_once` frames together.

    `look` and `shading` may be compiled forms of the defaults.
    """
    rgb: dict[str, list[Tensor]] = {name: [] for name in paints}
    nearness, seg = [], []
    for start in range(0, len(frames), at_once):
        times = torch.tensor(frames[start : start + at_once], device=scenes.sun.device)
        view = look(scenes, times, HEIGHT, WIDTH)
        nearness.append(_nearness(view))
        seg.append(_seg(view))
        for name, paint in paints.items():
            rgb[name].append(_picture(shading(view, paint)))
    pictures = {name: torch.cat(parts, dim=1) for name, parts in rgb.items()}
    return Film(pictures, _grey(torch.cat(nearness, dim=1)), torch.cat(seg, dim=1))


def film_seed(seed: int, looks: Sequence[str] = tuple(LOOKS), frames: int = FRAMES) -> Film:
    """Film the scene of a seed on the CPU (frame by frame, which is the fastest there)."""
    paints = {name: mix(LOOKS[name], torch.device("cpu")) for name in looks}
    return film(make_scenes([seed]), paints, range(frames), at_once=1)
