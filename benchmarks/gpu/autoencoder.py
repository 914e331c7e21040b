"""Seconds of encoding and decoding a video: `python -m benchmarks.gpu.autoencoder MODEL`.

MODEL is a folder of `benchmarks.gpu.folder`. With equal weights in bfloat16: diffusers' AutoencoderKLWan, ours
with PyTorch's operators between its convolutions, and ours with the kernels that it uses on a GPU. The error is
relative, in the norm, against ours in float32, at the smallest size.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.measuring import error, peak_bytes, reset_peak, seconds_of, versions
from benchmarks.gpu.models import Setup
from benchmarks.gpu.size import Size
from cosmos_batch.engines.inprocess.vae import wan_ops
from cosmos_batch.engines.inprocess.vae.wan import WanVae

SIZES = "320x192x29,832x480x93,1280x704x93"


@dataclass(frozen=True)
class Autoencoder:
    """Encodes videos to normalised latents, and decodes them."""

    name: str
    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]


def of_diffusers(folder: Path, setup: Setup) -> Autoencoder:
    """The autoencoder of diffusers, with the statistics of the latents as its pipeline applies them."""
    vae: Any = (
        setup.diffusers().AutoencoderKLWan.from_pretrained(folder, torch_dtype=torch.bfloat16).to(setup.device)
    )
    mean, std = (
        torch.tensor(values, device=setup.device).view(1, -1, 1, 1, 1)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return Autoencoder(
        "diffusers",
        lambda video: (vae.encode(video).latent_dist.mode().float() - mean) / std,
        lambda latents: vae.decode((latents * std + mean).bfloat16()).sample.float(),
    )


@contextmanager
def operators_only() -> Iterator[None]:
    """Use PyTorch's operators in place of the kernels."""
    proven = wan_ops._proven
    wan_ops._proven = lambda _device: False  # type: ignore[assignment]
    try:
        yield
    finally:
        wan_ops._proven = proven


def ours(folder: Path, setup: Setup) -> list[Autoencoder]:
    """Our autoencoder without and with kernels."""
    vae = WanVae.load(folder).to(setup.device, torch.bfloat16).channels_last()

    def without_kernels(work: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def wrapped(given: Tensor) -> Tensor:
            with operators_only():
                return work(given)

        return wrapped

    return [
        Autoencoder("ours, operators", without_kernels(vae.encode), without_kernels(vae.decode)),
        Autoencoder("ours, kernels", vae.encode, vae.decode),
    ]


def videos(size: Size, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random pixels [1, 3, F, H, W] and latents [1, C, T, H/8, W/8]."""
    dice = torch.Generator(device).manual_seed(0)
    pixels = torch.rand(1, 3, size.frames, size.height, size.width, generator=dice, device=device) * 2 - 1
    return pixels, torch.randn(1, *size.latent, generator=dice, device=device)


def errors(
    folder: Path, autoencoders: Sequence[Autoencoder], size: Size, device: torch.device
) -> list[tuple[float, float]]:
    """Errors of encoding and of decoding, for every autoencoder."""
    pixels, latents = videos(size, device)
    with operators_only():
        exact = WanVae.load(folder).to(device)
        wanted = exact.encode(pixels), exact.decode(latents)
    return [
        (error(vae.encode(pixels.bfloat16()), wanted[0]), error(vae.decode(latents).clamp(-1, 1), wanted[1]))
        for vae in autoencoders
    ]


@torch.no_grad()
def main(arguments: Sequence[str] | None = None, setup: Setup | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds of encoding and decoding a video.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--sizes", default=SIZES)
    options = parser.parse_args(arguments)
    folder, setup = options.model / "vae", setup or Setup.published()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    autoencoders = [of_diffusers(folder, setup), *ours(folder, setup)]
    sizes = [Size.parse(text) for text in options.sizes.split(",")]
    off = errors(folder, autoencoders, sizes[0], setup.device)
    print(versions())
    print("| size | autoencoder | encode, s | times | decode, s | times | peak, GiB |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for size in sizes:
        pixels, latents = videos(size, setup.device)
        pixels = pixels.bfloat16()
        before: tuple[float, float] | None = None
        for vae in autoencoders:
            reset_peak()
            taken = measured(vae.encode, pixels), measured(vae.decode, latents)
            before = before or taken
            cells = (
                f"{seconds:.3f} | {first / seconds:.2f}" for seconds, first in zip(taken, before, strict=True)
            )
            peak = peak_bytes() / 2**30
            print(f"| {size} | {vae.name} | {' | '.join(cells)} | {peak:.1f} |", flush=True)
    for vae, (encoding, decoding) in zip(autoencoders, off, strict=True):
        print(f"{vae.name}: {encoding:.2%} off in encoding, {decoding:.2%} in decoding")


def measured(work: Callable[[Tensor], Tensor], given: Tensor) -> float:
    """Seconds of a call, after two calls that are not counted."""
    return median(seconds_of(lambda: work(given), 3, warm=2))


if __name__ == "__main__":
    main()
