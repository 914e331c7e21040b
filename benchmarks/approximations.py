"""Error of approximations in finished videos: `python -m benchmarks.approximations`.

The embedded model, which is the trained one, makes held-out scenes exactly and with every approximation; the
videos are compared with the exact ones. Columns: passes of the network that a video takes;
decibels of the peak signal-to-noise ratio, and SSIM, against the exact video, both the mean of all scenes and the
least. A row of exact videos with fewer steps stands beside step caching, because it saves as many passes.

Attention in 8 bits is computed as by FlashAttention-3, but on the CPU: queries, keys, values and probabilities
are rounded to 8 bits, sums are not. It is used at every size here; the engine uses it from 8,192 tokens on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from benchmarks.pocket_quality import held_out
from cosmos_batch.engines.inprocess.gpu.attention import FLOAT8, Kernel, shortened
from cosmos_batch.engines.inprocess.sampling.schedule import is_estimated
from cosmos_batch.engines.inprocess.transfer25.blocks import Block
from training.pocket.footage import Footage
from training.pocket.judge import requests
from training.pocket.nets import Nets, Request, generate, load_nets
from training.pocket.quality import ssim

STEPS = (12, 36)


def decibels(video: Tensor, exact: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of uint8 videos [B, T, H, W, 3], by video."""
    error = (video.double() - exact.double()).square().flatten(1).mean(dim=1)
    return 10 * torch.log10(255**2 / error)


def row(name: str, steps: int, passes: int, video: Tensor, exact: Tensor) -> str:
    """A row of the table."""
    near, alike = decibels(video, exact), ssim(video, exact)
    cells = [name, steps, passes, f"{near.mean():.1f}", f"{near.min():.1f}"]
    return "| " + " | ".join(map(str, [*cells, f"{alike.mean():.4f}", f"{alike.min():.4f}"])) + " |"


def in_8_bits(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention with the factors of its products rounded to 8 bits."""
    ((q8, q_scale), (k8, k_scale), (v8, v_scale)), mean = shortened(q, k, v)
    logits = torch.einsum("rnae,rmae->ranm", q8.float(), k8.float()) * (q_scale * k_scale)[:, :, None, None]
    logits = logits * q.shape[-1] ** -0.5
    odds = (logits - logits.amax(dim=-1, keepdim=True)).exp()
    made = torch.einsum("ranm,rmae->rnae", odds.to(FLOAT8).float(), v8.float())
    whole = odds.sum(dim=-1).transpose(1, 2)[..., None]
    attended: Tensor = (made * v_scale[:, None, :, None] / whole).to(q.dtype) + mean
    return attended


@contextmanager
def attending(nets: Nets, kernel: Kernel) -> Iterator[None]:
    """Replace the self-attention of all networks."""
    networks = (nets.base, *nets.branches.values())
    layers = [block.attention for stem in networks for block in stem.blocks if isinstance(block, Block)]
    before = [attention.kernel for attention in layers]
    for attention in layers:
        attention.kernel = kernel
    try:
        yield
    finally:
        for attention, old in zip(layers, before, strict=True):
            attention.kernel = old


def compare(nets: Nets, scenes: list[Request], steps: int) -> Iterator[str]:
    """Yield a row for every approximation."""
    exact = generate(nets, scenes, steps)
    passes = steps - sum(is_estimated(step, steps) for step in range(steps))
    yield row("step-caching", steps, passes, generate(nets, scenes, steps, step_caching=True), exact)
    yield row("exact, fewer steps", passes, passes, generate(nets, scenes, passes), exact)
    with attending(nets, in_8_bits):
        yield row("float8-attention", steps, steps, generate(nets, scenes, steps), exact)


def main(arguments: Sequence[str] | None = None, nets: Nets | None = None, footage: Footage | None = None) -> None:
    """Measure and print. The embedded model and held-out scenes are used unless others are given."""
    parser = argparse.ArgumentParser(description="Error of approximations in finished videos.")
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--steps", type=int, nargs="*", default=STEPS)
    options = parser.parse_args(arguments)
    nets = nets or load_nets()
    scenes = requests(footage or held_out(options.scenes), {"edge": 1.0})
    print("| approximation | steps | passes | dB, mean | dB, least | SSIM, mean | SSIM, least |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for steps in options.steps:
        for line in compare(nets, scenes, steps):
            print(line, flush=True)


if __name__ == "__main__":
    main()
