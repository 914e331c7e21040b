"""What encoding and decoding a video takes: `python -m benchmarks.gpu.autoencoder MODEL`.

MODEL is a folder of `benchmarks.gpu.folder`. With equal weights in bfloat16: diffusers' AutoencoderKLWan, ours
with PyTorch's operators between its convolutions, and ours with the kernels that it uses on a GPU. The
error is relative, in the norm, against ours in float32, at the smallest size.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor

from benchmarks.gpu.measuring import error, seconds_of, versions
from benchmarks.gpu.sizes import Size
from cosmos_batch.engines.inprocess.vae import wan_ops
from cosmos_batch.engines.inprocess.vae.wan import WanVae

SIZES = "320x192x29,832x480x93,1280x704x93"
DEVICE = torch.device("cuda")


@dataclass(frozen=True)
class Way:
    """An autoencoder: videos to normalised latents, and back."""

    name: str
    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]


def theirs(folder: Path) -> Way:
    """diffusers', with the statistics of the latents as its pipeline applies them."""
    vae = AutoencoderKLWan.from_pretrained(folder, torch_dtype=torch.bfloat16).to(DEVICE)
    mean, std = (
        torch.tensor(values, device=DEVICE).view(1, -1, 1, 1, 1)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return Way(
        "diffusers",
        lambda video: (vae.encode(video).latent_dist.mode().float() - mean) / std,
        lambda latents: vae.decode((latents * std + mean).bfloat16()).sample.float(),
    )


@contextmanager
def operators_only() -> Iterator[None]:
    """Within, no kernels are used."""
    proven = wan_ops._proven
    wan_ops._proven = lambda _device: False  # type: ignore[assignment]
    try:
        yield
    finally:
        wan_ops._proven = proven


def ours(folder: Path) -> list[Way]:
    """Without and with kernels."""
    vae = WanVae.load(folder).to(DEVICE, torch.bfloat16).channels_last()

    def plainly(work: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def wrapped(given: Tensor) -> Tensor:
            with operators_only():
                return work(given)

        return wrapped

    return [
        Way("ours, operators", plainly(vae.encode), plainly(vae.decode)),
        Way("ours, kernels", vae.encode, vae.decode),
    ]


def videos(size: Size) -> tuple[Tensor, Tensor]:
    """Random pixels and latents."""
    dice = torch.Generator(DEVICE).manual_seed(0)
    pixels = torch.rand(1, 3, size.frames, size.height, size.width, generator=dice, device=DEVICE) * 2 - 1
    return pixels, torch.randn(1, *size.latent, generator=dice, device=DEVICE)


def errors(folder: Path, ways: Sequence[Way], size: Size) -> list[tuple[float, float]]:
    """Of encoding and of decoding, for every way."""
    pixels, latents = videos(size)
    with operators_only():
        exact = WanVae.load(folder).to(DEVICE)
        wanted = exact.encode(pixels), exact.decode(latents)
    return [
        (error(way.encode(pixels.bfloat16()), wanted[0]), error(way.decode(latents).clamp(-1, 1), wanted[1]))
        for way in ways
    ]


@torch.no_grad()
def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What encoding and decoding a video takes.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--sizes", default=SIZES)
    options = parser.parse_args(arguments)
    folder = options.model / "vae"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    ways = [theirs(folder), *ours(folder)]
    sizes = [Size.parse(text) for text in options.sizes.split(",")]
    off = errors(folder, ways, sizes[0])
    print(versions())
    print("| size | way | encode, s | times | decode, s | times | peak, GiB |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for size in sizes:
        pixels, latents = videos(size)
        pixels = pixels.bfloat16()
        before: tuple[float, float] | None = None
        for way in ways:
            torch.cuda.reset_peak_memory_stats()
            taken = measured(way.encode, pixels), measured(way.decode, latents)
            before = before or taken
            cells = (
                f"{seconds:.3f} | {first / seconds:.2f}" for seconds, first in zip(taken, before, strict=True)
            )
            peak = torch.cuda.max_memory_allocated() / 2**30
            print(f"| {size} | {way.name} | {' | '.join(cells)} | {peak:.1f} |", flush=True)
    for way, (encoding, decoding) in zip(ways, off, strict=True):
        print(f"{way.name}: {encoding:.2%} off in encoding, {decoding:.2%} in decoding")


def measured(work: Callable[[Tensor], Tensor], given: Tensor) -> float:
    """Seconds, after two times that do not count."""
    return median(seconds_of(lambda: work(given), 3, warm=2))


if __name__ == "__main__":
    main()
