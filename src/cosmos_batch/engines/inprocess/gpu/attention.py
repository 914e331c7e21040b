"""Attention by the fastest kernel that is installed.

On a Hopper GPU that is FlashAttention-3 (the package fa3-fwd, the extra `hopper`) for attention among many tokens;
else what PyTorch chooses: cuDNN's on Hopper, and its own on the CPU. All of these are exact; where asked for,
FlashAttention-3 takes numbers of 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.gpu.versions import installed_version
from cosmos_batch.errors import EngineError

Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values [R, N, A, E] -> [R, N, A, E]."""

HOPPER = (9, 0)
"""The compute capability of the GPUs for which FlashAttention-3 is made."""

_MANY = 8192
"""Tokens of a row from which on FlashAttention-3 is faster than cuDNN, on an H100; below, they are equal or it is
slower."""

FLOAT8 = torch.float8_e4m3fn

FAR = 0.15
"""Relative difference, in the norm. A number of 8 bits has 3 bits after its first, so it is off by 6 % at most."""


def _flash3(q: Tensor, k: Tensor, v: Tensor, **scales: Tensor) -> Tensor:
    """FlashAttention-3 among many tokens.

    The package's own function goes through `torch.library`, which imports PyTorch's whole compiler at its first
    call; this is the operator below it. One split, so that the sums have one order.
    """
    made = _operator()(q, k, v, softmax_scale=q.shape[-1] ** -0.5, num_splits=1, **scales)
    out: Tensor = made[0]
    return out


@lru_cache(maxsize=1)
def _operator() -> Callable[..., tuple[Tensor, ...]]:
    import_module("fa3_fwd._C")  # registers it
    operator: Callable[..., tuple[Tensor, ...]] = torch.ops.fa3_fwd.fwd
    return operator


def _flash3_among_many(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """FlashAttention-3 where it is faster than what PyTorch chooses."""
    return _flash3(q, k, v) if q.shape[1] >= _MANY else attention(q, k, v)


class _Flash3Float8:
    """FlashAttention-3 in 8 bits. Among few tokens, where it would not be faster, it is exact."""

    def __init__(self) -> None:
        self._proof = AccuracyCheck()

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries, keys and values [R, N, A, E] -> [R, N, A, E]."""
        if q.shape[1] < _MANY:
            return attention(q, k, v)
        parts, mean = shortened(q, k, v)
        short = [part for part, _ in parts]
        scales = {f"{name}_descale": scale for name, (_, scale) in zip("qkv", parts, strict=True)}
        made = _flash3(*short, **scales) + mean
        if not self._proof.given:
            self._proof.check(made, _flash3(*(unscaled(*part) for part in parts)) + mean)
        return made


class AccuracyCheck:
    """Check that attention in 8 bits is near the exact one, done once per process."""

    def __init__(self) -> None:
        self.given = False

    def check(self, found: Tensor, wanted: Tensor) -> None:
        """Accept the kernel. Raises EngineError where the two differ by more than 8 bits explain."""
        apart = float((found.float() - wanted.float()).norm() / wanted.float().norm())
        if not apart <= FAR:
            raise EngineError(
                f"attention in 8 bits is {apart:.0%} off on this device, where {FAR:.0%} is the most that its "
                "rounding explains; leave out --approximate float8-attention"
            )
        self.given = True


def shortened(q: Tensor, k: Tensor, v: Tensor) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """Queries, keys and values in 8 bits with their scales, and what their attention lacks [R, 1, A, E].

    What all keys of a head have in common moves all logits alike, and changes nothing; what all values have in
    common comes out as it goes in. So both are taken out first, and the 8 bits are left for the differences, as
    SageAttention 2 does (arXiv 2411.10958, section 3).
    """
    mean = v.mean(dim=1, keepdim=True)
    return [scaled(part) for part in (q, k - k.mean(dim=1, keepdim=True), v - mean)], mean


def scaled(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [R, N, A, E] in 8 bits, each head of a row by a scale of its own [R, A]: x is about their product."""
    scale = x.abs().amax(dim=(1, 3)).float().clamp(min=1e-12) / torch.finfo(FLOAT8).max
    return (x / scale[:, None, :, None]).to(FLOAT8), scale


def unscaled(x: Tensor, scale: Tensor) -> Tensor:
    """Undo `scaled`, but for the rounding: x [R, N, A, E] and scales [R, A] to bfloat16."""
    return (x.float() * scale[:, None, :, None]).to(torch.bfloat16)


def flash3_kernel(device: torch.device, dtype: torch.dtype, *, float8: bool = False) -> Kernel | None:
    """FlashAttention-3's kernel, where it is installed and the device and number format are those it knows."""
    fits = device.type == "cuda" and dtype == torch.bfloat16 and torch.cuda.get_device_capability(device) == HOPPER
    if not fits or not find_spec("fa3_fwd"):
        return None
    return _Flash3Float8() if float8 else _flash3_among_many


def attention_name(device: torch.device, dtype: torch.dtype) -> str:
    """The package of exact attention among many tokens, with its version; "pytorch" for PyTorch's own."""
    if flash3_kernel(device, dtype) is None:
        return "pytorch"
    return f"fa3-fwd {installed_version('fa3-fwd')}"


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """PyTorch's attention: queries [R, N, A, E], keys and values [R, M, A, E] -> [R, N, A, E].

    `mask` is [R, 1, 1, M], True where there is a key.
    """
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)
