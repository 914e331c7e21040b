"""Error of attention in 8 bits, kernel by kernel: `python -m benchmarks.gpu.eight_bits`.

Needs a Hopper GPU and fa3-fwd. "As they are": queries, keys and values rounded to 8 bits without a change;
"without their mean": the mean of all keys and of all values subtracted first, as the engine does it. First for
random numbers with and without a mean, then for every self-attention of a step at 832x480x93 of a model with
random weights. The error is relative, in the norm, against the same kernel in bfloat16.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module

import torch
from torch import Tensor

from benchmarks.gpu.measuring import error
from benchmarks.gpu.models import Ours, Reference, Setup
from benchmarks.gpu.size import Size
from cosmos_batch.engines.inprocess.gpu.attention import scaled, shortened
from cosmos_batch.engines.inprocess.transfer25.blocks import Block

TOKENS = "8192,37440,84480"
HEADS, WIDTH = 16, 128
LEAST = 8_192  # tokens of a row from which on the engine uses the kernel

Flash = Callable[..., Tensor]
"""FlashAttention-3's `flash_attn_func`."""


def errors(flash: Flash, q: Tensor, k: Tensor, v: Tensor) -> tuple[float, float, Tensor]:
    """Errors as they are and without their mean, and the exact attention [R, N, A, E]."""
    exact = flash(q, k, v)
    short, mean = shortened(q, k, v)
    as_they_are = _in_8_bits(flash, [scaled(part) for part in (q, k, v)])
    without_mean = _in_8_bits(flash, short) + mean
    return error(as_they_are, exact), error(without_mean, exact), exact


def _in_8_bits(flash: Flash, parts: list[tuple[Tensor, Tensor]]) -> Tensor:
    (q, q_scale), (k, k_scale), (v, v_scale) = parts
    return flash(q, k, v, q_descale=q_scale, k_descale=k_scale, v_descale=v_scale)


def random_numbers(flash: Flash, counts: Sequence[int], device: torch.device) -> None:
    """Print both errors for random numbers, by the number of tokens."""
    dice = torch.Generator(device).manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=dice, device=device)

    print("| tokens | values | as they are | without their mean | size of the output |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for tokens in counts:
        for name, common in (("random", 0), ("random, and a mean", 1)):
            q, k, v = (normal(1, tokens, HEADS, WIDTH) for _ in range(3))
            v = v + common * normal(HEADS, WIDTH)
            plain, centred, exact = errors(flash, q.bfloat16(), k.bfloat16(), v.bfloat16())
            size = float(exact.float().norm() / v.norm())
            print(f"| {tokens} | {name} | {plain:.1%} | {centred:.1%} | {size:.4f} |", flush=True)


def layers(flash: Flash, size: Size, setup: Setup, least: int) -> list[tuple[float, float]]:
    """Both errors of every self-attention of a step. `least`: tokens of a row from which on it is measured."""
    ours = Ours.like(Reference(("edge",), setup), fast=False)
    found: list[tuple[float, float]] = []

    def measured(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if q.shape[1] < least:
            return flash(q, k, v)
        plain, centred, exact = errors(flash, q, k, v)
        found.append((plain, centred))
        return exact

    for network in (ours.base, *ours.branches.values()):
        for block in network.blocks:
            assert isinstance(block, Block)
            block.attention.kernel = measured
    ours.batch([setup.case(size, {"edge": 1.0})]).step()
    return found


def main(arguments: Sequence[str] | None = None, setup: Setup | None = None, kernel: Flash | None = None) -> None:
    """Measure and print. `kernel`: FlashAttention-3's unless given."""
    parser = argparse.ArgumentParser(description="Error of attention in 8 bits.")
    parser.add_argument("--tokens", default=TOKENS, help="of the random numbers, with commas between")
    parser.add_argument("--size", default="832x480x93")
    parser.add_argument("--least", type=int, default=LEAST, help="tokens of a row that are measured")
    options = parser.parse_args(arguments)
    setup = setup or Setup.published()
    flash: Flash = kernel or import_module("fa3_fwd_interface").flash_attn_func
    random_numbers(flash, [int(count) for count in options.tokens.split(",")], setup.device)
    size = Size.parse(options.size)
    found = layers(flash, size, setup, options.least)
    for name, errors_of in zip(("as they are", "without their mean"), zip(*found, strict=True), strict=True):
        print(f"{len(found)} layers at {size}, {name}: {min(errors_of):.2%} to {max(errors_of):.2%} off")


if __name__ == "__main__":
    main()
