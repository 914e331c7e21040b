"""Operations between the convolutions of the Wan autoencoder: norm, SiLU, look-back, bias, shortcut.

On a GPU each takes one pass over memory, by kernels of its own (see `kernels`); PyTorch's operators, one by one,
would take as long as the convolutions. Elsewhere they are those operators.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.gpu.compiler import can_compile

LOOK_BACK = 2
"""Frames before its own that a convolution over three frames reads."""

NOTHING = 1e-24
"""Added to the mean square where it is divided by: keeps a pixel of zeros zero, and changes no other."""

_APART = 0.02
"""Relative difference, in the norm, up to which it is that of one rounding to bfloat16 more or less."""

_NARROW = 128
"""Channels up to which a GPU convolves three frames at once faster as pictures of three times the channels."""


def rms_norm(x: Tensor, gamma: Tensor) -> Tensor:
    """x [B, C, ...] with each pixel's channels scaled to a root mean square of gamma [C]."""
    channels_last = x.movedim(1, -1)
    normal = F.rms_norm(channels_last, channels_last.shape[-1:], gamma, NOTHING)
    return normal.movedim(-1, 1)


def activated(
    x: Tensor, bias: Tensor | None, gamma: Tensor, before: Tensor | None, *, stacked: bool
) -> tuple[Tensor, Tensor]:
    """Return the input of a convolution over three frames, and the value of `before` for the next call.

    Args:
        x: [B, C, T, H, W], to which a bias [C] is still to be added, if there is one.
        bias: see there.
        gamma: [C]; norm and SiLU follow.
        before: the last frames of the group before, activated, [B, C, LOOK_BACK, H, W]; None: there were none, and
            they count as zeros.
        stacked: whether every frame is wanted with those before it, as a picture.

    Returns [B, C, LOOK_BACK + T, H, W], or [B * T, 3 C, H, W] if stacked; and [B, C, LOOK_BACK, H, W].
    """
    if _has_kernels(x):
        return _kernels().activated(x, bias, gamma, before, NOTHING, stacked=stacked)
    return _activated(x, bias, gamma, before, stacked=stacked)


def _activated(
    x: Tensor, bias: Tensor | None, gamma: Tensor, before: Tensor | None, *, stacked: bool
) -> tuple[Tensor, Tensor]:
    """The same by PyTorch's operators."""
    if bias is not None:
        x = x + bias.view(-1, 1, 1, 1)
    made = F.silu(rms_norm(x, gamma), inplace=True)
    made = F.pad(made, (0, 0, 0, 0, LOOK_BACK, 0)) if before is None else torch.cat((before, made), dim=2)
    after = made[:, :, -LOOK_BACK:].clone()
    return (_stacked(made) if stacked else made), after


def joined(y: Tensor, bias: Tensor, shortcut: Tensor | None = None) -> Tensor:
    """y [B, C, ...] + bias [C] + shortcut, in place of y."""
    if _has_kernels(y):
        return _kernels().joined(y, bias, shortcut)
    y += bias.view(-1, *[1] * (y.dim() - 2))
    return y if shortcut is None else y.add_(shortcut)


def stacks(x: Tensor) -> bool:
    """Whether a convolution over three frames of x [B, C, T, H, W] is done as one of pictures."""
    return x.shape[1] <= _NARROW and _has_kernels(x)


def _stacked(x: Tensor) -> Tensor:
    """[B, C, LOOK_BACK + T, H, W] -> [B * T, 3 C, H, W]."""
    frames = x.shape[2] - LOOK_BACK
    parts = torch.stack([x[:, :, k : k + frames] for k in range(LOOK_BACK + 1)], dim=1)
    return parts.permute(0, 3, 1, 2, 4, 5).flatten(2, 3).flatten(0, 1)


def _has_kernels(x: Tensor) -> bool:
    """Whether x is laid out as the kernels read it, on a device that has them."""
    order = torch.channels_last_3d if x.dim() == 5 else torch.channels_last
    return _proven(x.device) and x.is_contiguous(memory_format=order)


def _proof(device: torch.device) -> bool:
    """Whether the kernels work on a device, and give what the operators give."""
    if not can_compile(device):
        return False
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1, 96, 2, 4, 8, generator=draw).to(device, torch.bfloat16)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    bias, before = x[0, :, 0, 0, 0].contiguous(), x.flip(2)
    try:
        made, after = _kernels().activated(x, bias, bias, before, NOTHING, stacked=True)
        found = torch.cat((made.flatten(), after.flatten(), _kernels().joined(x.clone(), bias, x).flatten()))
    except Exception:  # a compiler's, a driver's: whatever it is, the operators do the same
        return False
    made, after = _activated(x, bias, bias, before, stacked=True)
    wanted = torch.cat((made.flatten(), after.flatten(), (x + bias.view(-1, 1, 1, 1) + x).flatten()))
    return found.shape == wanted.shape and bool((found - wanted).norm() <= _APART * wanted.norm())


_proven = lru_cache(maxsize=8)(_proof)


def _kernels() -> ModuleType:
    """Import the kernels, which need Triton; it comes with PyTorch for GPUs only."""
    return import_module("cosmos_batch.engines.inprocess.vae.triton_kernels")
