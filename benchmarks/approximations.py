"""What approximations do to finished videos: `python -m benchmarks.approximations [--device cuda]`.

The embedded model, which is the one that has learnt something here, makes held-out scenes exactly and with every
approximation that the device has; the videos are compared with the exact ones. Columns: decibels of the peak
signal-to-noise ratio and SSIM against the exact video, both of the scene that comes out worst and of all; and the
passes through the network that a video takes. A row of exact videos with as many steps fewer stands beside step
caching, for that is the other way to save them.

Attention is in 8 bits at every size here; the engine does so from 8,192 tokens on, which these videos have not.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.pocket_quality import held_out
from cosmos_batch.engines.transfer import attention
from cosmos_batch.engines.transfer.acceleration import accelerate
from cosmos_batch.engines.transfer.options import Approximation
from cosmos_batch.engines.transfer.schedule import is_estimated
from cosmos_batch.pocket.judge import requests
from cosmos_batch.pocket.nets import Nets, Request, generate, load_nets
from cosmos_batch.pocket.quality import ssim

STEPS = (12, 36)
FLOAT8 = (
    (Approximation.FLOAT8_ATTENTION,),
    (Approximation.FLOAT8_PRODUCTS,),
    (Approximation.FLOAT8_ATTENTION, Approximation.FLOAT8_PRODUCTS),
)


def decibels(video: Tensor, exact: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of uint8 videos [B, T, H, W, 3], by video."""
    error = (video.double() - exact.double()).square().flatten(1).mean(dim=1)
    return 10 * torch.log10(255**2 / error)


def row(name: str, steps: int, passes: int, video: Tensor, exact: Tensor) -> str:
    """A line of the table."""
    near = decibels(video, exact)
    alike = ssim(video, exact)
    return (
        f"| {name} | {steps} | {passes} | {near.mean():.1f} | {near.min():.1f} "
        f"| {alike.mean():.4f} | {alike.min():.4f} |"
    )


def on(device: torch.device, approximations: tuple[Approximation, ...] = ()) -> Nets:
    """The embedded model as the engine has it on a device: in bfloat16 on a GPU."""
    nets = load_nets().to(device)
    if device.type == "cuda":
        for network in (nets.base, *nets.branches.values()):
            network.to(torch.bfloat16)
            accelerate(network, approximations)
    return nets


def compare(scenes: list[Request], device: torch.device) -> None:
    """Print a row for every approximation."""
    nets = on(device)
    for steps in STEPS:
        exact = generate(nets, scenes, steps)
        near = generate(nets, scenes, steps, step_caching=True)
        passes = steps - sum(is_estimated(step, steps) for step in range(steps))
        print(row("step-caching", steps, passes, near, exact), flush=True)
        print(row("exact, fewer steps", passes, passes, generate(nets, scenes, passes), exact), flush=True)
        for approximations in FLOAT8 if device.type == "cuda" else ():
            video = in_8_bits(partial(generate, on(device, approximations), scenes, steps))
            print(row(", ".join(approximations), steps, steps, video, exact), flush=True)
        if device.type == "cuda":
            alone = torch.cat([generate(nets, [scene], steps) for scene in scenes])
            print(row("exact, each video alone", steps, steps, alone, exact), flush=True)


def in_8_bits(make: Callable[[], Tensor]) -> Tensor:
    """What it makes with attention in 8 bits at every size."""
    with patch.object(attention, "_MANY", 0):
        return make()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What approximations do to finished videos.")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scenes", type=int, default=8)
    options = parser.parse_args()
    scenes = requests(held_out(options.scenes), {"edge": 1.0})
    print("| way | steps | passes | dB, mean | dB, least | SSIM, mean | SSIM, least |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    compare(scenes, torch.device(options.device))


if __name__ == "__main__":
    main()
