"""Scenes of the pocket world: up to five moving solids on a checkered ground, a drifting camera, a sun.

A scene is a function of its seed alone. Lengths are in ground cells, angles in radians, time in clips of
16 frame steps. Names of dimensions: B scenes, K solids, T frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

SOLIDS = 5
SPHERE, BOX, CYLINDER = range(3)
PLAIN, BANDED, HALVED = range(3)
HUES = 6
_NUMBERS = 128  # uniform numbers drawn per scene, more than are used
_SPREAD = 0.25  # radians by which a solid's place on its ring varies


@dataclass(frozen=True, slots=True)
class Scenes:
    """Parameters of B scenes."""

    orbit: Tensor  # [B, 2] camera's angle at the start, and what it turns in a clip
    radius: Tensor  # [B, 2] camera's distance at the start, and what it gains in a clip
    height: Tensor  # [B, 2] camera's height at the start, and what it gains in a clip
    sun: Tensor  # [B, 3] unit vector towards the sun
    present: Tensor  # [B, K] bool
    kind: Tensor  # [B, K] of SPHERE, BOX, CYLINDER
    size: Tensor  # [B, K, 3] half extents; a sphere's and a cylinder's radius is the first
    place: Tensor  # [B, K, 2] mean place on the ground
    drift: Tensor  # [B, K, 2] greatest distance from it
    swing: Tensor  # [B, K, 2] swings in a clip, and the part of one at the start
    hop: Tensor  # [B, K, 3] height of its hops, hops in a clip, part of one at the start
    spin: Tensor  # [B, K, 2] angle at the start, and what it turns in a clip
    texture: Tensor  # [B, K] of PLAIN, BANDED, HALVED
    hue: Tensor  # [B, K] 0..HUES - 1, different for all solids of a scene

    def __len__(self) -> int:
        return len(self.sun)

    def to(self, device: torch.device) -> Scenes:
        """The same scenes on another device."""
        return Scenes(*(getattr(self, field.name).to(device) for field in fields(self)))


class _Dice:
    """Consumes a row of uniform numbers piece by piece."""

    def __init__(self, uniform: Tensor) -> None:
        self.uniform = uniform
        self.used = 0

    def between(self, low: float, high: float, count: int = 1) -> Tensor:
        """[B, count] numbers from `low` to `high`."""
        piece = self.uniform[:, self.used : self.used + count]
        self.used += count
        return low + (high - low) * piece

    def signed(self, low: float, high: float, count: int = 1) -> Tensor:
        """[B, count] numbers whose size is from `low` to `high`, of either sign."""
        return self.between(low, high, count) * torch.where(self.between(-1, 1, count) < 0, -1.0, 1.0)


def _uniform(seeds: Sequence[int]) -> Tensor:
    generator = torch.Generator()
    return torch.stack([torch.rand(_NUMBERS, generator=generator.manual_seed(seed)) for seed in seeds])


def _sun(dice: _Dice) -> Tensor:
    turn, rise = dice.between(0, math.tau), dice.between(0.6, 1.05)
    return torch.cat((turn.cos() * rise.cos(), rise.sin(), turn.sin() * rise.cos()), dim=1)


def _places(dice: _Dice) -> Tensor:
    """One solid about the middle, the others on a ring around it."""
    ring = torch.arange(SOLIDS) * math.tau / (SOLIDS - 1)
    angle = ring + dice.between(0, math.tau) + dice.between(-_SPREAD, _SPREAD, SOLIDS)
    inner = (torch.arange(SOLIDS) > 0).float()
    distance = dice.between(0.0, 0.35, SOLIDS) + inner * 1.3
    return torch.stack((angle.cos() * distance, angle.sin() * distance), dim=-1)


def _sizes(dice: _Dice, kind: Tensor) -> Tensor:
    size = dice.between(0.34, 0.56, 3 * SOLIDS).unflatten(1, (SOLIDS, 3)).clone()
    size[..., 1] *= 1.3
    return torch.where((kind == SPHERE).unsqueeze(-1), size[..., :1], size)


def make_scenes(seeds: Sequence[int]) -> Scenes:
    """The scenes of these seeds. A scene depends on its own seed alone."""
    dice = _Dice(_uniform(seeds))
    orbit = torch.cat((dice.between(0, math.tau), dice.signed(0.15, 0.55)), dim=1)
    radius = torch.cat((dice.between(3.7, 4.8), dice.between(-0.5, 0.5)), dim=1)
    height = torch.cat((dice.between(0.9, 2.1), dice.between(-0.4, 0.4)), dim=1)
    sun = _sun(dice)
    kind = dice.between(0, 3, SOLIDS).long().clamp(max=2)
    present = torch.arange(SOLIDS) < dice.between(3, SOLIDS + 1).long()
    hop_height = dice.between(-0.6, 0.9, SOLIDS).clamp(min=0) * (kind != BOX)
    return Scenes(
        orbit=orbit,
        radius=radius,
        height=height,
        sun=sun,
        present=present,
        kind=kind,
        size=_sizes(dice, kind),
        place=_places(dice),
        drift=dice.signed(0.05, 0.35, 2 * SOLIDS).unflatten(1, (SOLIDS, 2)),
        swing=torch.stack((dice.between(0.4, 1.0, SOLIDS), dice.between(0, 1, SOLIDS)), dim=-1),
        hop=torch.stack((hop_height, dice.between(0.7, 1.5, SOLIDS), dice.between(0, 1, SOLIDS)), dim=-1),
        spin=torch.stack((dice.between(0, math.tau, SOLIDS), dice.signed(0.3, 1.6, SOLIDS)), dim=-1),
        texture=dice.between(0, 3, SOLIDS).long().clamp(max=2),
        hue=dice.between(0, 1, HUES).argsort(dim=1)[:, :SOLIDS],
    )
