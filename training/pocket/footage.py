"""Training footage: targets in every style, and controls made as the engine makes them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from cosmos_batch.media.controls.pixels import BILATERAL, BLUR, make_control
from cosmos_batch.run import Strength
from training.pocket.geometry import View, look_at
from training.pocket.looks import CLAY, STYLES, Paint, mix, shade, strange
from training.pocket.scenes import make_scenes
from training.pocket.world import film

CONTROLS = ("depth", "edge", "seg", "vis")
_STRANGE = 0.1  # part of the inputs that do not look like clay
_PRESETS: tuple[Strength, ...] = ("medium", "medium", "medium", "very_low", "low", "high", "very_high")


@dataclass(frozen=True, slots=True)
class Footage:
    """B clips; every video is uint8 [B, T, H, W, 3]."""

    styles: dict[str, Tensor]
    controls: dict[str, Tensor]
    clay: Tensor


class Studio:
    """Films clips on one device, with the renderer compiled where that pays."""

    def __init__(self, device: torch.device, workers: int, compiled: bool) -> None:
        self.device = device
        self.clay = mix(CLAY, device)
        self.styles = {name: mix(look, device) for name, look in STYLES.items()}
        speed: Callable[..., Callable[..., object]] = (
            partial(torch.compile, dynamic=False) if compiled else (lambda function: function)
        )
        self._look = speed(look_at)
        self._shade = speed(shade)
        self._gather = speed(_gather)
        self._pool = ThreadPoolExecutor(workers)

    def _view(self, *args: object) -> View:
        return self._look(*args)  # type: ignore[return-value]

    def _shaded(self, view: View, paint: Paint) -> Tensor:
        return self._shade(view, paint)  # type: ignore[return-value]

    def _clay(self, count: int, seed: int, strange_part: float) -> Paint:
        """Clay for most of the clips, random looks for the rest; one paint per clip."""
        generator = torch.Generator().manual_seed(seed)
        odd = torch.rand(count, generator=generator).to(self.device) < strange_part
        pairs = zip(_each(self.clay, count), _each(strange(self.clay, generator, count), count), strict=True)
        return Paint(*(torch.where(odd.view(-1, *[1] * (a.dim() - 1)), b, a) for a, b in pairs))

    @torch.no_grad()
    def shoot(self, seeds: Sequence[int], clay_only: bool = False) -> Callable[[], Footage]:
        """Film the scenes of these seeds. Edges are computed in threads; the returned function waits for them."""
        dice = random.Random(seeds[0])
        scenes = make_scenes(seeds).to(self.device)
        clay = self._clay(len(seeds), seeds[0], 0.0 if clay_only else _STRANGE)
        paints = {name: _each(paint, len(seeds)) for name, paint in self.styles.items()} | {"clay": clay}
        shot = film(scenes, paints, look=self._view, shading=self._shaded)
        pixels = shot.rgb.pop("clay")
        presets: tuple[Strength, ...] = ("medium",) if clay_only else _PRESETS
        draw = partial(make_control, "edge", preset=dice.choice(presets))
        edges = self._pool.map(draw, pixels.cpu().numpy())
        vis = self.blur(pixels, dice.choice(presets))

        def wait() -> Footage:
            edge = torch.stack([torch.from_numpy(frames) for frames in edges]).to(self.device)
            return Footage(shot.rgb, {"depth": shot.depth, "edge": edge, "seg": shot.seg, "vis": vis}, pixels)

        return wait

    def blur(self, pixels: Tensor, preset: Strength) -> Tensor:
        """Equal to `make_control("vis", ...)` for many videos at once: uint8 [B, T, H, W, 3] to the same."""
        before, after = BLUR[preset]
        height, width = pixels.shape[2:4]
        x = pixels.flatten(0, 1).permute(0, 3, 1, 2).float()
        x = _bytes(F.interpolate(x, (height // before, width // before), mode="area"))
        x = _bytes(self._bilateral(x))
        x = _bytes(F.interpolate(x, (height, width), mode="bilinear"))
        for size in ((height // after, width // after), (height, width)):
            x = _bytes(F.interpolate(x, size, mode="bicubic", antialias=True))
        return x.permute(0, 2, 3, 1).to(torch.uint8).unflatten(0, pixels.shape[:2])

    def _bilateral(self, x: Tensor) -> Tensor:
        """OpenCV's bilateral filter [N, 3, h, w]: colours compared by the sum of their channels' differences."""
        diameter, colour, space = BILATERAL
        radius = diameter // 2
        padded = F.pad(x, (radius,) * 4, mode="reflect")
        total, weight = torch.zeros_like(x), torch.zeros_like(x[:, :1])
        height, width = x.shape[2:]
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                if dy * dy + dx * dx > radius * radius:
                    continue
                other = padded[:, :, dy + radius : dy + radius + height, dx + radius : dx + radius + width]
                near = x.new_tensor(-(dy * dy + dx * dx) / (2 * space**2))
                total, weight = self._gather(x, other, near, -1 / (2 * colour**2), total, weight)  # type: ignore[misc]
        return total / weight

    def clips(self, first: int, count: int, at_once: int, seconds: float) -> list[Footage]:
        """Footage of scenes first..first + count - 1, `at_once` a time, or as much as there is time for.

        The seconds count from when the first piece is done: it waits for the compiler.
        """
        footage, ahead, begin = [], self.shoot(range(first, first + at_once)), 0.0
        for start in range(first + at_once, first + count, at_once):
            following = self.shoot(range(start, start + at_once))
            footage.append(ahead())
            ahead, begin = following, begin or time.monotonic()
            if time.monotonic() - begin > seconds:
                break
        return [*footage, ahead()]


def _each(paint: Paint, count: int) -> Paint:
    """The paint with one row for each of `count` scenes, so that one compiled form serves all looks."""
    return Paint(*(part.expand(count, *part.shape[1:]).contiguous() for part in paint))


def _bytes(x: Tensor) -> Tensor:
    return x.clamp(0, 255).round()


def _gather(
    x: Tensor, other: Tensor, near: Tensor, sharp: float, total: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    part = torch.exp(near + sharp * (other - x).abs().sum(1, keepdim=True) ** 2)
    return total + part * other, weight + part


def to_signal(video: Tensor) -> Tensor:
    """uint8 [B, T, H, W, 3] -> [B, 3, T, H, W] in -1..1."""
    return video.permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def to_pixels(video: Tensor) -> Tensor:
    """[B, 3, T, H, W] in -1..1 -> uint8 [B, T, H, W, 3]."""
    return ((video.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 4, 1)


def joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Concatenate videos of the same names."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
