"""Training of the autoencoder on footage of the pocket world, targets and controls mixed."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.vae.pocket_vae import FoldedVae
from training.pocket.footage import Footage, to_pixels, to_signal
from training.pocket.quality import ssim

_NOISE = 0.1  # added to the latents, so that the decoder bears what the transformer gets wrong
_SMALL = 1e-3  # weight of the latents' squares, which the noise would otherwise drive up
_TARGETS = 0.62  # part of a batch that are targets; the others are inputs and controls


@dataclass(frozen=True, slots=True)
class VaePlan:
    """Duration and batch size of the training."""

    seconds: float
    batch: int = 32
    rate: float = 2e-3


def _edges(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x.diff(dim=-1), x.diff(dim=-2), x.diff(dim=2)


def _unlike(a: Tensor, b: Tensor) -> Tensor:
    """1 - SSIM with a flat window of 7 pixels, of every fourth frame."""
    x, y = (v[:, :, ::4].transpose(1, 2).flatten(0, 1) / 2 + 0.5 for v in (a, b))

    def mean(z: Tensor) -> Tensor:
        return F.avg_pool2d(z, 7, stride=2)

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    score = (2 * mx * my + 1e-4) * (2 * both + 9e-4) / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4))
    return 1 - score.mean()


def vae_loss(vae: FoldedVae, video: Tensor, noise: Tensor) -> Tensor:
    """Of videos [B, 3, F, H, W] in -1..1: colours, edges in space and time, SSIM, size of the latents."""
    latents = vae.raw(video)
    made = vae.unraw(latents + _NOISE * noise).float()
    edge = sum(
        ((a - b).abs().mean() for a, b in zip(_edges(made), _edges(video), strict=True)), latents.new_zeros(())
    )
    colour = (made - video).abs().mean() + (made - video).square().mean()
    return colour + 1.5 * edge + 0.3 * _unlike(made, video) + _SMALL * latents.float().square().mean()


def rate_at(part: float, peak: float, warm: float = 0.02) -> float:
    """Learning rate after a part 0..1 of the training: a short rise, then a cosine down to 0."""
    return peak * min(part / warm, 0.5 + 0.5 * math.cos(math.pi * min(part, 1.0)))


class _Shelf:
    """All footage, from which batches are drawn."""

    def __init__(self, footage: list[Footage]) -> None:
        self.targets = [list(clip.styles.values()) for clip in footage]
        self.others = [[*clip.controls.values(), clip.clay] for clip in footage]

    def _one(self, kinds: list[list[Tensor]], place: int) -> Tensor:
        piece = random.choice(kinds)
        video = piece[place % len(piece)]
        return video[random.randrange(len(video))]

    def pick(self, size: int) -> Tensor:
        """[size, 3, F, H, W] in -1..1; a quarter in colours that the world does not have."""
        targets = round(size * _TARGETS)
        parts = [self._one(self.targets, i) for i in range(targets)]
        parts += [self._one(self.others, i) for i in range(targets, size)]
        video = to_signal(torch.stack(parts))
        device = video.device
        odd = torch.arange(size, device=device) % 4 == 3
        gain, shift = torch.rand(2, size, 3, 1, 1, 1, device=device)
        return torch.where(
            odd.view(-1, 1, 1, 1, 1), (video * (0.4 + 0.6 * gain) + shift - 0.5).clamp(-1, 1), video
        )


def fit_vae(
    vae: FoldedVae, footage: list[Footage], plan: VaePlan, say: Callable[[str], None], compiled: bool
) -> None:
    """Train in place; at the end the weights are rounded to bfloat16 and the latents' statistics are set."""
    vae.train()
    shelf = _Shelf(footage)
    device = vae.mean.device
    loss_of = torch.compile(vae_loss, dynamic=False) if compiled else vae_loss
    optimizer = torch.optim.AdamW(vae.parameters(), lr=0.0, betas=(0.9, 0.99), weight_decay=1e-4)
    steps, begin, loss = 0, time.monotonic(), torch.zeros(())
    while (part := (time.monotonic() - begin) / plan.seconds) < 1:
        optimizer.param_groups[0]["lr"] = rate_at(part, plan.rate)
        video = shelf.pick(plan.batch)
        noise = torch.randn(
            plan.batch,
            vae.latent_channels,
            1 + video.shape[2] // 4,
            *(s // 8 for s in video.shape[3:]),
            device=device,
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of(vae, video, noise)
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        steps += 1
        if steps == 1:  # the first step waits for the compiler
            begin = time.monotonic()
        if steps % 250 == 1:
            say(f"vae: step {steps}, {time.monotonic() - begin:.0f} s, loss {loss.item():.4f}")
    say(f"vae: {steps} steps in {time.monotonic() - begin:.0f} s, loss {loss.item():.4f}")
    _settle(vae, shelf)


@torch.no_grad()
def _settle(vae: FoldedVae, shelf: _Shelf) -> None:
    vae.eval()
    for weight in vae.parameters():
        weight.copy_(weight.to(torch.bfloat16))
    videos = [video for piece in shelf.targets[:4] for kind in piece for video in kind.split(16)]
    latents = torch.cat([vae.raw(to_signal(video)) for video in videos])
    vae.mean.copy_(latents.mean((0, 2, 3, 4)).view_as(vae.mean).to(torch.bfloat16))
    vae.std.copy_(latents.std((0, 2, 3, 4)).view_as(vae.std).to(torch.bfloat16))


@torch.no_grad()
def judge_vae(vae: FoldedVae, footage: Footage) -> dict[str, float]:
    """Mean SSIM of every kind of video after encoding and decoding."""
    videos = footage.styles | footage.controls
    return {
        name: float(ssim(video, to_pixels(vae.decode(vae.encode(to_signal(video))))).mean())
        for name, video in videos.items()
    }
