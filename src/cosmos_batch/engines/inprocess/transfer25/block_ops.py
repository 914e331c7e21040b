"""Operations between the matrix products of a block: modulation, gates, norms of heads, rotation, GELU.

On a GPU each takes one pass over memory, by a kernel of `block_kernels`; elsewhere, in other number formats than
bfloat16, in training, and where Triton does not work, they are PyTorch's operators. Dimensions are named as in
`transformer`.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.gpu.compiler import can_compile

_EPS = 1e-6
"""Added to the variance of a token."""

_HEAD_EPS = 1e-5
"""Added to the mean square of a head."""

_APART = 0.02
"""Relative difference, in the norm, up to which it is that of one rounding to bfloat16 more or less."""


class Rotary(NamedTuple):
    """Rotary tables for one latent shape."""

    cos: Tensor  # [N, 1, E / 2]
    sin: Tensor  # [N, 1, E / 2]


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise x [R, N, D], then scale and shift [R, S, D] each frame's tokens."""
    if _has_kernels(x):
        made: Tensor = _kernels().modulated(x.contiguous(), None, None, None, shift, scale, _EPS)
        return made
    return _modulated(x, shift, scale)


def gated(x: Tensor, update: Tensor, gate: Tensor) -> Tensor:
    """Add to x [R, N, D] an update [R, N, D], scaled [R, S, D] for each frame's tokens.

    The sum may be in place of the update.
    """
    if _has_kernels(x):
        _kernels().modulated(x.contiguous(), update, None, gate, None, None, _EPS)
        return update
    return _gated(x, update, gate)


def gated_modulated(
    x: Tensor, update: Tensor, bias: Tensor | None, gate: Tensor, shift: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Add an update, with a bias [D] added to it if there is one, as `gated` does; and modulate the sum.

    Returns both, [R, N, D] each. The sum may be in place of the update.
    """
    if _has_kernels(x):
        return update, _kernels().modulated(x.contiguous(), update, bias, gate, shift, scale, _EPS)
    x = _gated(x, update if bias is None else update + bias, gate)
    return x, _modulated(x, shift, scale)


def normed_heads(x: Tensor, weight: Tensor, table: Rotary | None = None) -> Tensor:
    """Normalise each head of x [R, N, A, E] to a root mean square of the weight [E], and turn it by its place.

    The first half of a head holds the real parts, the second the imaginary ones. None: no turn.
    """
    if _has_kernels(x):
        made: Tensor = _kernels().normed_heads(x, weight, _HEAD_EPS, table)
        return made
    return _normed_heads(x, weight, table)


def gelu(x: Tensor) -> Tensor:
    """GELU of x; the result may be in place of x."""
    if _has_kernels(x):
        made: Tensor = _kernels().gelu_(x)
        return made
    return F.gelu(x)


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    normal = F.layer_norm(x, x.shape[-1:], eps=_EPS).unflatten(1, (shift.shape[1], -1))
    return (normal * (1 + scale.unsqueeze(2)) + shift.unsqueeze(2)).flatten(1, 2)


def _gated(x: Tensor, update: Tensor, gate: Tensor) -> Tensor:
    return x + (update.unflatten(1, (gate.shape[1], -1)) * gate.unsqueeze(2)).flatten(1, 2)


def _normed_heads(x: Tensor, weight: Tensor, table: Rotary | None) -> Tensor:
    normal = F.rms_norm(x, x.shape[-1:], weight, _HEAD_EPS)
    return normal if table is None else _rotated(normal, table)


def _rotated(x: Tensor, table: Rotary) -> Tensor:
    wide = torch.promote_types(x.dtype, torch.float32)
    real, imaginary = x.to(wide).chunk(2, dim=-1)
    turned = (real * table.cos - imaginary * table.sin, imaginary * table.cos + real * table.sin)
    return torch.cat(turned, dim=-1).to(x.dtype)


def has_kernels(device: torch.device) -> bool:
    """Whether the kernels are used on a device."""
    return _proven(device)


def _has_kernels(x: Tensor) -> bool:
    return x.dtype == torch.bfloat16 and not torch.is_grad_enabled() and _proven(x.device)


def _proof(device: torch.device) -> bool:
    """Whether the kernels work on a device, and give what the operators give."""
    if not can_compile(device):
        return False
    draw = torch.Generator().manual_seed(0)
    x, update, *three = (torch.randn(2, 6, 96, generator=draw).to(device, torch.bfloat16) for _ in range(5))
    gate, shift, scale = (part[:, :3] for part in three)
    bias, weight = update[0, 0].contiguous(), update[0, 0, :32].contiguous()
    table = Rotary(*torch.randn(2, 6, 1, 16, generator=draw).to(device))
    heads = x.unflatten(-1, (3, 32))
    try:
        kernels = _kernels()
        both = update.clone()
        found = [kernels.modulated(x, both, bias, gate, shift, scale, _EPS), both, kernels.gelu_(x.clone())]
        found += [kernels.normed_heads(heads, weight, _HEAD_EPS, turn).flatten(2) for turn in (table, None)]
    except Exception:  # of a compiler, a driver, or any other part: the operators do the same
        return False
    total = _gated(x, update + bias, gate)
    wanted = [_modulated(total, shift, scale), total, F.gelu(x)]
    wanted += [_normed_heads(heads, weight, turn).flatten(2) for turn in (table, None)]
    return all(
        bool((one.float() - other.float()).norm() <= _APART * other.float().norm())
        for one, other in zip(found, wanted, strict=True)
    )


_proven = lru_cache(maxsize=8)(_proof)


def _kernels() -> ModuleType:
    """Import the kernels, which need Triton; it comes with PyTorch for GPUs only."""
    return import_module("cosmos_batch.engines.inprocess.transfer25.block_kernels")
