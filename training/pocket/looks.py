"""Seven looks of the pocket world: neutral clay, which inputs show, and six styles, which prompts name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from training.pocket.geometry import FIRST_SOLID, GROUND, SKY, View

Colour = tuple[float, float, float]

HUE_COLOURS: tuple[Colour, ...] = (
    (0.90, 0.16, 0.14),
    (0.97, 0.52, 0.10),
    (0.95, 0.85, 0.15),
    (0.20, 0.75, 0.25),
    (0.15, 0.45, 0.95),
    (0.70, 0.25, 0.90),
)
"""The solids' own colours; every look keeps a part of them."""


@dataclass(frozen=True, slots=True)
class Look:
    """How everything appears. Colours are RGB, 1 is full."""

    sky: Colour  # overhead
    horizon: Colour  # of the sky low down, and of far things
    ground: Colour  # the lighter checks
    checks: Colour  # the darker checks
    sun: Colour  # its light
    ambient: Colour  # light from everywhere
    tint: Colour  # that the solids' own colours are mixed with
    mute: float  # how much of the solids' colour is the tint
    haze: float  # thickness of the air
    glow: float = 0.0  # of the sun in the sky
    cap: float = 0.0  # white on what faces up
    ripple: float = 0.0  # waves in the ground
    rim: float = 0.0  # glow of the solids' rims in their own colour
    grid: Colour = (0.0, 0.0, 0.0)  # lines between the ground's cells
    lamp: Colour = (0.0, 0.0, 0.0)  # light of a lamp over the middle
    line: float = 0.0  # white outlines


CLAY = Look(
    sky=(0.70, 0.73, 0.78), horizon=(0.82, 0.83, 0.84), ground=(0.74, 0.73, 0.71), checks=(0.54, 0.53, 0.52),
    sun=(0.62, 0.60, 0.57), ambient=(0.56, 0.57, 0.60), tint=(0.78, 0.76, 0.74), mute=0.72, haze=0.05,
)  # fmt: skip
STYLES: dict[str, Look] = {
    "snow": Look(
        sky=(0.66, 0.76, 0.88), horizon=(0.90, 0.94, 0.98), ground=(0.97, 0.98, 1.0),
        checks=(0.80, 0.87, 0.96),
        sun=(0.50, 0.48, 0.44), ambient=(0.54, 0.58, 0.66), tint=(0.55, 0.62, 0.72), mute=0.60, haze=0.10, cap=1.0,
    ),
    "night": Look(
        sky=(0.03, 0.05, 0.14), horizon=(0.09, 0.13, 0.28), ground=(0.34, 0.38, 0.52),
        checks=(0.20, 0.23, 0.36),
        sun=(0.34, 0.42, 0.68), ambient=(0.22, 0.27, 0.48), tint=(0.55, 0.60, 0.80), mute=0.45, haze=0.07,
        lamp=(2.6, 1.7, 0.75),
    ),
    "desert": Look(
        sky=(0.42, 0.66, 0.86), horizon=(0.98, 0.86, 0.62), ground=(0.93, 0.70, 0.40),
        checks=(0.84, 0.58, 0.30),
        sun=(0.90, 0.74, 0.48), ambient=(0.52, 0.47, 0.46), tint=(0.86, 0.54, 0.30), mute=0.72, haze=0.09,
        glow=0.5, ripple=0.13,
    ),
    "neon": Look(
        sky=(0.04, 0.01, 0.12), horizon=(0.52, 0.06, 0.46), ground=(0.06, 0.03, 0.12),
        checks=(0.03, 0.02, 0.07),
        sun=(0.20, 0.10, 0.36), ambient=(0.22, 0.12, 0.34), tint=(0.20, 0.10, 0.35), mute=0.25, haze=0.07,
        rim=1.3, grid=(0.05, 0.95, 0.95),
    ),
    "autumn": Look(
        sky=(0.62, 0.66, 0.66), horizon=(0.96, 0.82, 0.58), ground=(0.66, 0.34, 0.12),
        checks=(0.42, 0.22, 0.10),
        sun=(0.95, 0.70, 0.36), ambient=(0.54, 0.46, 0.42), tint=(0.92, 0.42, 0.10), mute=0.50, haze=0.06,
        glow=0.7,
    ),
    "blueprint": Look(
        sky=(0.05, 0.16, 0.42), horizon=(0.05, 0.16, 0.42), ground=(0.06, 0.19, 0.47),
        checks=(0.05, 0.16, 0.42),
        sun=(0.18, 0.18, 0.18), ambient=(0.86, 0.86, 0.86), tint=(0.10, 0.27, 0.60), mute=1.0, haze=0.03,
        grid=(0.22, 0.36, 0.60), line=1.0,
    ),
}  # fmt: skip
"""The styles by the names that prompts are sorted under."""

LOOKS: dict[str, Look] = {"clay": CLAY} | STYLES


class Paint(NamedTuple):
    """A look as tensors that meet a View: colours [B or 1, 1, 1, 1, 3], numbers [B or 1, 1, 1, 1]."""

    sky: Tensor
    horizon: Tensor
    ground: Tensor
    checks: Tensor
    sun: Tensor
    ambient: Tensor
    solids: Tensor  # [B or 1, 6, 3]: of every hue
    haze: Tensor
    glow: Tensor
    cap: Tensor
    ripple: Tensor
    rim: Tensor
    grid: Tensor
    lamp: Tensor
    line: Tensor


def mix(look: Look, device: torch.device) -> Paint:
    """The paint of a look."""

    def colour(name: str) -> Tensor:
        return torch.tensor(getattr(look, name), device=device).view(1, 1, 1, 1, 3)

    def number(name: str) -> Tensor:
        return torch.full((1, 1, 1, 1), float(getattr(look, name)), device=device)

    hues = torch.tensor(HUE_COLOURS, device=device)
    solids = torch.lerp(hues, torch.tensor(look.tint, device=device), look.mute)[None]
    colours = ("sky", "horizon", "ground", "checks", "sun", "ambient", "grid", "lamp")
    numbers = ("haze", "glow", "cap", "ripple", "rim", "line")
    parts = {name: colour(name) for name in colours} | {name: number(name) for name in numbers}
    return Paint(solids=solids, **parts)


def strange(paint: Paint, generator: torch.Generator, count: int) -> Paint:
    ""
    "A look with colours and brightness of its own for each of `count` scenes, for inputs that are no clay."
    ""

    def draw(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator).to(paint.sky.device)

    def other(colour: Tensor) -> Tensor:
        return torch.lerp(colour.expand(count, -1, -1, -1, -1), draw(1, 1, 1, 3), 0.7) * (0.5 + draw(1, 1, 1, 1))

    solids = torch.lerp(paint.solids.expand(count, -1, -1), draw(6, 3), 0.8)
    colours = {name: other(getattr(paint, name)) for name in ("sky", "horizon", "ground", "checks", "ambient")}
    return paint._replace(solids=solids, haze=paint.haze * 2 * draw(1, 1, 1), **colours)


def _sky(view: View, paint: Paint) -> Tensor:
    rise = (view.ray[..., 1:2] * 3).clamp(0, 1)
    facing = (view.ray * view.sun).sum(-1, keepdim=True).clamp(min=0)
    return torch.lerp(paint.horizon, paint.sky, rise) + paint.glow[..., None] * facing**8 * paint.sun


def _surface(view: View, paint: Paint) -> Tensor:
    """Colour of the surfaces themselves."""
    shade = (0.62 + 0.38 * view.tone).unsqueeze(-1)
    solids = torch.zeros_like(view.ray)
    for hue in range(len(HUE_COLOURS)):
        solids = torch.where((view.hue == hue).unsqueeze(-1), paint.solids[:, hue, None, None, None], solids)
    up = ((view.normal[..., 1] - 0.35) * 4).clamp(0, 1) * paint.cap
    solids = torch.lerp(solids * shade, torch.full_like(solids, 0.96), up.unsqueeze(-1))
    plain = torch.exp(-((view.distance / 14) ** 2))  # far checks melt into one colour
    part = torch.lerp(torch.full_like(view.tone, 0.5), view.tone, plain).unsqueeze(-1)
    ground = torch.lerp(paint.checks, paint.ground, part)
    ground = ground * (1 + paint.ripple * plain * torch.sin(view.point[..., 0] * 12.566)).unsqueeze(-1)
    return torch.where((view.thing == GROUND).unsqueeze(-1), ground, solids)


def _light(view: View, paint: Paint) -> Tensor:
    """Light that falls on the surfaces."""
    facing = (view.normal * view.sun).sum(-1).clamp(min=0) * view.lit
    above = 0.7 + 0.3 * view.normal[..., 1]
    way = torch.stack((-view.point[..., 0], 2.4 - view.point[..., 1], -view.point[..., 2]), dim=-1)
    gap = (way * way).sum(-1)
    lamp = ((view.normal * way).sum(-1) / gap.sqrt()).clamp(min=0) / (0.6 + 0.45 * gap) * view.open
    light = paint.sun * facing.unsqueeze(-1) + paint.ambient * (above * view.open).unsqueeze(-1)
    return light + paint.lamp * lamp.unsqueeze(-1)


def _glow(view: View, paint: Paint) -> Tensor:
    """Light that the solids' rims and the ground's lines give off."""
    away = 1 - (view.normal * view.ray).sum(-1).abs()
    hues = torch.zeros_like(view.ray)
    for hue, colour in enumerate(HUE_COLOURS):
        hues = torch.where((view.hue == hue).unsqueeze(-1), hues.new_tensor(colour), hues)
    rim = (paint.rim * (away**1.5 + 0.18) * (view.thing >= FIRST_SOLID)).unsqueeze(-1) * hues
    edge = (view.point - view.point.round()).abs()
    near = torch.minimum(edge[..., 0], edge[..., 2])
    drawn = torch.exp(-((near / 0.05) ** 2) - view.distance * 0.10) * (view.thing == GROUND)
    return rim + paint.grid * drawn.unsqueeze(-1)


def shade(view: View, paint: Paint) -> Tensor:
    """Colours [B, T, Y, X, 3] of what the rays meet, 0..1."""
    lit = _surface(view, paint) * _light(view, paint) + _glow(view, paint)
    clear = torch.exp(-((view.distance * paint.haze) ** 2)).unsqueeze(-1)
    seen = torch.lerp(paint.horizon.expand_as(lit), lit, clear)
    seen = torch.where((view.thing == SKY).unsqueeze(-1), _sky(view, paint), seen)
    return torch.lerp(seen, torch.ones_like(seen), (view.outline * paint.line).unsqueeze(-1)).clamp(0, 1)
