"""The camera's view of a scene: rays cast analytically, four per pixel.

Names of dimensions: B scenes, T frames, Y, X rows and columns of rays (twice those of the picture).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from training.pocket.scenes import BANDED, BOX, CYLINDER, HALVED, SOLIDS, SPHERE, Scenes

STEPS = 16  # frame steps in a clip's unit of time
SKY, GROUND, FIRST_SOLID = 0, 1, 2
SAMPLES = 2  # rays per pixel, each way
_FAR = 1e4
_HORIZON = 60.0  # beyond it the ground is sky
_LENS = 0.6  # half the picture's width at distance 1
_AIM = 0.5  # height of the point that the camera looks at


class View(NamedTuple):
    """The nearest surface on each ray; all [B, T, Y, X], vectors with 3 behind."""

    thing: Tensor  # SKY, GROUND, or FIRST_SOLID + solid
    ray: Tensor  # unit vector away from the camera
    distance: Tensor  # along the ray
    depth: Tensor  # along the camera's axis; 0 for the sky
    point: Tensor
    normal: Tensor
    lit: Tensor  # 1 where the sun shines, else 0
    open: Tensor  # 0..1, how much of the sky a point of the ground sees past the solids
    tone: Tensor  # 0 or 1: the darker or lighter part of a texture or of the ground's checks
    hue: Tensor  # of the solid
    outline: Tensor  # 1 on the drawn edges of things, else 0
    sun: Tensor  # [B, 1, 1, 1, 3]


class _Solid(NamedTuple):
    """One solid of every scene in every frame, shaped to meet the rays."""

    there: Tensor  # [B, 1, 1, 1]
    kind: Tensor  # [B, 1, 1, 1]
    size: Tensor  # [B, 1, 1, 1, 3]
    centre: Tensor  # [B, T, 1, 1, 3]
    cos: Tensor  # [B, T, 1, 1]
    sin: Tensor  # [B, T, 1, 1]


def _solid(scenes: Scenes, k: int, time: Tensor) -> _Solid:
    swing, hop, spin = scenes.swing[:, k], scenes.hop[:, k], scenes.spin[:, k]
    phase = torch.sin(math.tau * (swing[:, :1] * time + swing[:, 1:]))
    x = scenes.place[:, k, :1] + scenes.drift[:, k, :1] * phase
    z = scenes.place[:, k, 1:] + scenes.drift[:, k, 1:] * phase
    y = scenes.size[:, k, 1:2] + hop[:, :1] * torch.sin(math.pi * (hop[:, 1:2] * time + hop[:, 2:])).abs()
    angle = (spin[:, :1] + spin[:, 1:] * time)[:, :, None, None]
    return _Solid(
        scenes.present[:, k, None, None, None],
        scenes.kind[:, k, None, None, None],
        scenes.size[:, k, None, None, None],
        torch.stack((x, y, z), dim=-1)[:, :, None, None],
        angle.cos(),
        angle.sin(),
    )


def _turned(v: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Vectors in the solid's own axes."""
    x, y, z = v.unbind(-1)
    return torch.stack((cos * x + sin * z, y, cos * z - sin * x), dim=-1)


def _round_hit(o: Tensor, d: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave a sphere (or, of two dimensions, a circle) about the origin."""
    a = (d * d).sum(-1).clamp(min=1e-6)
    b = (o * d).sum(-1) / a
    under = b * b - ((o * o).sum(-1) - radius * radius) / a
    root = under.clamp(min=0).sqrt()
    hit = under > 0
    return torch.where(hit, -b - root, _FAR), torch.where(hit, -b + root, -_FAR)


def _slab_hit(o: Tensor, d: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave the space between planes at -half and half, axis by axis."""
    safe = torch.where(d.abs() < 1e-6, torch.full_like(d, 1e-6), d)
    middle, reach = -o / safe, (half / safe).abs()
    return middle - reach, middle + reach


def _distance(origin: Tensor, ray: Tensor, solid: _Solid) -> Tensor:
    """Distance of the solid along the rays; _FAR where they miss it."""
    o = _turned(origin - solid.centre, solid.cos, solid.sin)
    d = _turned(ray, solid.cos, solid.sin)
    ball_in, ball_out = _round_hit(o, d, solid.size[..., 0])
    pipe_in, pipe_out = _round_hit(o[..., ::2], d[..., ::2], solid.size[..., 0])
    slab_in, slab_out = _slab_hit(o, d, solid.size)
    pipe_in, pipe_out = torch.maximum(pipe_in, slab_in[..., 1]), torch.minimum(pipe_out, slab_out[..., 1])
    near = torch.where(solid.kind == SPHERE, ball_in, torch.where(solid.kind == BOX, slab_in.amax(-1), pipe_in))
    far = torch.where(solid.kind == SPHERE, ball_out, torch.where(solid.kind == BOX, slab_out.amin(-1), pipe_out))
    return torch.where((near < far) & (near > 1e-3) & solid.there, near, _FAR)


def _normal(local: Tensor, size: Tensor, kind: Tensor) -> Tensor:
    """Outward normal at a point of a solid's surface, in its own axes."""
    ratio = local / size
    face = ratio.abs()
    box = torch.where(face >= face.amax(-1, keepdim=True), ratio.sign(), 0.0)
    cap = (face[..., 1:2] >= 0.999).float() * torch.stack(
        (box[..., 0] * 0, ratio[..., 1].sign(), box[..., 0] * 0), -1
    )
    side = local * local.new_tensor([1.0, 0.0, 1.0])
    pipe = torch.where(face[..., 1:2] >= 0.999, cap, side)
    flat = torch.where(
        (kind == BOX).unsqueeze(-1), box, torch.where((kind == CYLINDER).unsqueeze(-1), pipe, local)
    )
    return F.normalize(flat, dim=-1)


def _tone(local: Tensor, texture: Tensor) -> Tensor:
    banded = (torch.sin(local[..., 1] * 12) > 0).float()
    halved = (local[..., 0] > 0).float()
    return torch.where(texture == BANDED, banded, torch.where(texture == HALVED, halved, 1.0))


def _rays(scenes: Scenes, time: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Camera's place [B, T, 1, 1, 3], unit rays [B, T, Y, X, 3], their part along the axis [B, T, Y, X]."""
    angle = scenes.orbit[:, :1] + scenes.orbit[:, 1:] * time
    radius = scenes.radius[:, :1] + scenes.radius[:, 1:] * time
    rise = scenes.height[:, :1] + scenes.height[:, 1:] * time
    eye = torch.stack((angle.cos() * radius, rise, angle.sin() * radius), dim=-1)
    axis = F.normalize(eye.new_tensor([0.0, _AIM, 0.0]) - eye, dim=-1)
    right = F.normalize(torch.stack((-axis[..., 2], axis[..., 0] * 0, axis[..., 0]), dim=-1), dim=-1)
    up = torch.linalg.cross(right, axis)
    x = ((torch.arange(width, device=eye.device) + 0.5) / width * 2 - 1) * _LENS
    y = (1 - (torch.arange(height, device=eye.device) + 0.5) / height * 2) * _LENS * height / width
    ray = axis[:, :, None, None] + x[:, None] * right[:, :, None, None] + y[:, None, None] * up[:, :, None, None]
    length = ray.norm(dim=-1, keepdim=True)
    return eye[:, :, None, None], ray / length, 1 / length[..., 0]


def _outline(thing: Tensor, normal: Tensor) -> Tensor:
    """Mask of rays next to another object or another face of a solid, five rays wide."""

    def steps(dim: int) -> Tensor:
        other, turned = thing.roll(-1, dim), normal.roll(-1, dim)
        edge = (thing != other) | (((normal * turned).sum(-1) < 0.8) & (thing >= FIRST_SOLID))
        last = torch.arange(thing.shape[dim], device=thing.device) < thing.shape[dim] - 1
        return edge & last.view(-1, *[1] * (3 - dim))

    drawn = (steps(2) | steps(3)).float()
    return F.max_pool2d(drawn.flatten(0, 1)[:, None], 5, stride=1, padding=2)[:, 0].view_as(drawn)


class _Seen(NamedTuple):
    """The nearest surface on each ray, before lighting."""

    thing: Tensor
    point: Tensor
    normal: Tensor
    tone: Tensor
    hue: Tensor


def _nearest(eye: Tensor, ray: Tensor, solids: list[_Solid]) -> tuple[Tensor, Tensor]:
    """Distance and index of the nearest object on each ray."""
    floor = torch.where(ray[..., 1] < -1e-4, -eye[..., 1] / ray[..., 1].clamp(max=-1e-4), _FAR).clamp(max=_FAR)
    distance, thing = floor, torch.where(floor < _HORIZON, GROUND, SKY)
    for k, solid in enumerate(solids):
        found = _distance(eye, ray, solid)
        thing = torch.where(found < distance, FIRST_SOLID + k, thing)
        distance = torch.minimum(found, distance)
    return distance, thing


def _surface(scenes: Scenes, solids: list[_Solid], thing: Tensor, point: Tensor) -> _Seen:
    normal = torch.zeros_like(point)
    tone, hue = torch.zeros_like(point[..., 0]), torch.zeros_like(thing)
    for k, solid in enumerate(solids):
        mine = thing == FIRST_SOLID + k
        local = _turned(point - solid.centre, solid.cos, solid.sin)
        facing = _turned(_normal(local, solid.size, solid.kind), solid.cos, -solid.sin)
        normal = torch.where(mine.unsqueeze(-1), facing, normal)
        tone = torch.where(mine, _tone(local, scenes.texture[:, k, None, None, None]), tone)
        hue = torch.where(mine, scenes.hue[:, k, None, None, None], hue)
    ground = thing == GROUND
    normal = torch.where(ground.unsqueeze(-1), normal.new_tensor([0.0, 1.0, 0.0]), normal)
    cell = point[..., 0].floor() + point[..., 2].floor()
    return _Seen(thing, point, normal, torch.where(ground, cell.remainder(2), tone), hue)


def _shadows(seen: _Seen, sun: Tensor, solids: list[_Solid]) -> tuple[Tensor, Tensor]:
    """Where the sun shines, and how open the ground is."""
    lifted = seen.point + seen.normal * 2e-3
    lit, clear = torch.ones_like(seen.tone), torch.ones_like(seen.tone)
    for solid in solids:
        lit = torch.where(_distance(lifted, sun.expand_as(lifted), solid) < _FAR, 0.0, lit)
        gap = ((seen.point - solid.centre) ** 2).sum(-1) / (solid.size[..., 0] ** 2 + solid.size[..., 1] ** 2)
        clear = clear * (1 - 0.75 * torch.exp(-1.2 * gap) * solid.there)
    return lit, torch.where(seen.thing == GROUND, clear, 1.0)


def look_at(scenes: Scenes, frames: Tensor, height: int, width: int) -> View:
    """View of each scene in the frames [T], counted from 0, for pictures of `height` x `width` pixels."""
    time = (frames.to(scenes.sun.device).float() / STEPS).expand(len(scenes), -1)
    eye, ray, along = _rays(scenes, time, height * SAMPLES, width * SAMPLES)
    solids = [_solid(scenes, k, time) for k in range(SOLIDS)]
    distance, thing = _nearest(eye, ray, solids)
    seen = _surface(scenes, solids, thing, eye + ray * distance.unsqueeze(-1))
    sun = scenes.sun[:, None, None, None]
    lit, clear = _shadows(seen, sun, solids)
    return View(
        thing=thing,
        ray=ray,
        distance=distance,
        depth=torch.where(thing == SKY, 0.0, distance * along),
        point=seen.point,
        normal=seen.normal,
        lit=lit,
        open=clear,
        tone=seen.tone,
        hue=seen.hue,
        outline=_outline(thing, seen.normal),
        sun=sun,
    )
