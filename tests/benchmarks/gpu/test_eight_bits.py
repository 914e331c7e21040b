"""The benchmark of attention in 8 bits on the CPU, with a kernel made of PyTorch's operators."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.gpu.eight_bits import main
from benchmarks.gpu.models import Setup

KEYS = ("q_descale", "k_descale", "v_descale")


def flash(q: Tensor, k: Tensor, v: Tensor, **scales: Tensor) -> Tensor:
    """FlashAttention-3's function [R, N, A, E], computed in float32."""
    scaled = [part.float() for part in (q, k, v)]
    if scales:
        scaled = [part * scales[key][:, None, :, None] for part, key in zip(scaled, KEYS, strict=True)]
    heads_first = [part.transpose(1, 2) for part in scaled]
    found = torch.nn.functional.scaled_dot_product_attention(*heads_first).transpose(1, 2)
    return found.to(torch.bfloat16) if scales else found.to(q.dtype)


def test_both_roundings_are_measured(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--tokens", "64", "--size", "48x32x5", "--least", "1"], setup, flash)

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[1] for line in lines if line.startswith("| 64 |")] == [
        "random",
        "random, and a mean",
    ]
    layers = 4 + 2  # of the base and of one branch
    assert [line.split(":")[0] for line in lines[-2:]] == [
        f"{layers} layers at 48x32x5, as they are",
        f"{layers} layers at 48x32x5, without their mean",
    ]
