"""The kernels of the network's blocks, in Triton's interpreter on the CPU, against PyTorch's operators."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.transfer25 import block_kernels, block_ops
from cosmos_batch.engines.inprocess.transfer25.block_ops import Rotary
from tests.support.tiny_network import CPU, MIX, TinyModel, error, made

TOLERANCE = 1e-5  # relative, in the norm, float32
ROWS, FRAMES, PER_FRAME = 2, 3, 5
TOKENS = FRAMES * PER_FRAME
EPS = 1e-6


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("width", [32, 96])
@pytest.mark.parametrize("frames", [1, FRAMES])
def test_modulating_gives_what_the_operators_give(width: int, frames: int) -> None:
    x = drawn(ROWS, TOKENS, width)
    shift, scale, _ = drawn(ROWS, frames, 3, width).unbind(2)
    found = block_kernels.modulated(x, None, None, None, shift, scale, EPS)
    assert found is not None
    assert error(found, block_ops.modulated(x, shift, scale)) < TOLERANCE


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_a_gated_sum_is_in_place_of_the_update(frames: int) -> None:
    x, update, gate = drawn(ROWS, TOKENS, 96), drawn(ROWS, TOKENS, 96).flip(0), drawn(ROWS, frames, 96)
    wanted = block_ops.gated(x, update, gate)
    assert block_kernels.modulated(x, update, None, gate, None, None, EPS) is None
    assert error(update, wanted) < TOLERANCE


@pytest.mark.parametrize("biased", [False, True])
def test_gate_and_modulation_in_one_pass_give_the_same(biased: bool) -> None:
    x, update = drawn(ROWS, TOKENS, 96), drawn(ROWS, TOKENS, 96).flip(0)
    shift, scale, gate = drawn(ROWS, FRAMES, 3, 96).unbind(2)
    bias = drawn(96) if biased else None
    total, normal = block_ops.gated_modulated(x, update, bias, gate, shift, scale)
    found = block_kernels.modulated(x, update, bias, gate, shift, scale, EPS)
    assert found is not None
    assert error(update, total) < TOLERANCE
    assert error(found, normal) < TOLERANCE


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("heads", "width"), [(2, 16), (3, 24)])
def test_norms_of_heads_give_what_the_operators_give(heads: int, width: int, turned: bool) -> None:
    """Of queries that lie between keys and values in memory."""
    q = drawn(ROWS, TOKENS, 3, heads, width).unbind(2)[1]
    table = Rotary(drawn(TOKENS, 1, width // 2), drawn(TOKENS, 1, width // 2).flip(0)) if turned else None
    found = block_kernels.normed_heads(q, drawn(width), 1e-5, table)
    assert error(found, block_ops.normed_heads(q, drawn(width), table)) < TOLERANCE


def test_gelu_is_in_place() -> None:
    x = drawn(ROWS, TOKENS, 96)
    wanted = block_ops.gelu(x)
    assert block_kernels.gelu_(x) is x
    assert error(x, wanted) < TOLERANCE


def test_a_network_with_the_kernels_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a guided run with two branches and a known frame, and an unguided one without branches."""
    plain = made(TinyModel().batch(), MIX[1:])
    monkeypatch.setattr(block_ops, "_has_kernels", lambda _x: True)
    assert error(made(TinyModel().batch(), MIX[1:]), plain) < 1e-4


@pytest.mark.parametrize("fault", [None, "another result", "an error"])
def test_kernels_are_used_where_they_give_what_the_operators_give(
    monkeypatch: pytest.MonkeyPatch, fault: str | None
) -> None:
    def odd(x: Tensor) -> Tensor:
        if fault == "an error":
            raise RuntimeError("no such instruction")
        return x

    monkeypatch.setattr(block_ops, "can_compile", lambda _device: True)
    if fault is not None:
        monkeypatch.setattr(block_kernels, "gelu_", odd)
    assert block_ops._proof(CPU) is (fault is None)


def test_without_a_compiler_the_operators_do_it() -> None:
    assert block_ops.has_kernels(CPU) is False
