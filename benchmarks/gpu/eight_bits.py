"""How far attention in 8 bits is from exact, kernel by kernel: `python -m benchmarks.gpu.eight_bits`.

Needs a Hopper GPU and fa3-fwd. "As they are": queries, keys and values rounded to 8 bits as they come; "without
their mean": with what all keys and all values have in common taken out first, as the engine does it. First for
random numbers with and without a mean, then for every self-attention of a step at 832x480x93 of a model with
random weights. The error is relative, in the norm, against the same kernel in bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor

from benchmarks.gpu.measuring import error
from benchmarks.gpu.models import DEVICE, Case, Ours, Reference
from benchmarks.gpu.sizes import Size
from cosmos_batch.engines.inprocess.gpu.attention import scaled, shortened

TOKENS = (8_192, 37_440, 84_480)
HEADS, WIDTH = 16, 128
MANY = 8_192  # tokens of a row from which on the engine uses the kernel

Flash = Callable[..., Tensor]
"""FlashAttention-3's `flash_attn_func`."""


def errors(flash: Flash, q: Tensor, k: Tensor, v: Tensor) -> tuple[float, float, Tensor]:
    """Of both ways, and the exact attention [R, N, A, E]."""
    exact = flash(q, k, v)
    short, mean = shortened(q, k, v)
    as_they_are = _in_8_bits(flash, [scaled(part) for part in (q, k, v)])
    without_mean = _in_8_bits(flash, short) + mean
    return error(as_they_are, exact), error(without_mean, exact), exact


def _in_8_bits(flash: Flash, parts: list[tuple[Tensor, Tensor]]) -> Tensor:
    (q, q_scale), (k, k_scale), (v, v_scale) = parts
    return flash(q, k, v, q_descale=q_scale, k_descale=k_scale, v_descale=v_scale)


def random_numbers(flash: Flash) -> None:
    """Print both errors by the number of tokens."""
    dice = torch.Generator(DEVICE).manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=dice, device=DEVICE)

    print("| tokens | values | as they are | without their mean | size of the output |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for tokens in TOKENS:
        for name, common in (("random", 0), ("random, and a mean", 1)):
            q, k, v = (normal(1, tokens, HEADS, WIDTH) for _ in range(3))
            v = v + common * normal(HEADS, WIDTH)
            plain, centred, exact = errors(flash, q.bfloat16(), k.bfloat16(), v.bfloat16())
            size = float(exact.float().norm() / v.norm())
            print(f"| {tokens} | {name} | {plain:.1%} | {centred:.1%} | {size:.4f} |", flush=True)


def layers(flash: Flash, size: Size) -> list[tuple[float, float]]:
    """Both errors of every self-attention of a step."""
    ours = Ours.like(Reference(("edge",)), fast=False)
    found: list[tuple[float, float]] = []

    def watched(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if q.shape[1] < MANY:
            return flash(q, k, v)
        plain, centred, exact = errors(flash, q, k, v)
        found.append((plain, centred))
        return exact

    for network in (ours.base, *ours.branches.values()):
        for block in network.blocks:
            block.attention.kernel = watched
    ours.batch([Case(size, {"edge": 1.0})]).step()
    return found


def main() -> None:
    """Measure and print."""
    flash: Flash = import_module("fa3_fwd_interface").flash_attn_func
    random_numbers(flash)
    size = Size.parse("832x480x93")
    found = layers(flash, size)
    for name, way in zip(("as they are", "without their mean"), zip(*found, strict=True), strict=True):
        print(f"{len(found)} layers at {size}, {name}: {min(way):.2%} to {max(way):.2%} off")


if __name__ == "__main__":
    main()
