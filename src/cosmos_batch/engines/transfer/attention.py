"""Attention by the fastest exact kernel that is at hand.

On a Hopper GPU that is FlashAttention-3 (the package fa3-fwd, the extra `hopper`) for attention among many tokens;
else what PyTorch chooses: cuDNN's on Hopper, and its own on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional as F

Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values [R, N, A, E] -> [R, N, A, E]."""

_HOPPER = (9, 0)
_MANY = 8192
"""Tokens of a row from which on FlashAttention-3 is faster than cuDNN, on an H100; below, they are equal or it is
slower."""


@lru_cache(maxsize=1)
def _flash3() -> Kernel:
    """FlashAttention-3 among many tokens, as an operator that `torch.compile` leaves as it is."""
    kernel: Kernel = import_module("fa3_fwd_interface").flash_attn_func

    @torch.library.custom_op("cosmos_batch::flash3", mutates_args=(), device_types="cuda")
    def flash3(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return kernel(q, k, v) if q.shape[1] >= _MANY else attention(q, k, v).contiguous()

    @flash3.register_fake
    def _(q: Tensor, _k: Tensor, _v: Tensor) -> Tensor:
        return torch.empty_like(q, memory_format=torch.contiguous_format)

    return flash3


def flash3_kernel(device: torch.device, dtype: torch.dtype) -> Kernel | None:
    """FlashAttention-3's kernel, where it is installed and the device and number format are those it knows."""
    fits = (
        device.type == "cuda" and dtype == torch.bfloat16 and torch.cuda.get_device_capability(device) == _HOPPER
    )
    return _flash3() if fits and find_spec("fa3_fwd_interface") else None


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """PyTorch's attention: queries [R, N, A, E], keys and values [R, M, A, E] -> [R, N, A, E].

    `mask` is [R, 1, 1, M], True where there is a key.
    """
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)
