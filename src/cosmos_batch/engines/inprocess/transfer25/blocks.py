"""The blocks of which the transformer and its control branches are made. Dimensions are named as in `network`."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.gpu.attention import Kernel, attention
from cosmos_batch.engines.inprocess.transfer25.block_ops import (
    Rotary,
    gated,
    gated_modulated,
    gelu,
    modulated,
    normed_heads,
)
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig


def rotary(config: NetworkConfig, frames: int, height: int, width: int, device: torch.device) -> Rotary:
    """Tables for `frames` x `height` x `width` patches: NTK-scaled base 10000, axes time, height, width."""
    side = config.head_dim // 6 * 2
    dims = (config.head_dim - 2 * side, side, side)
    angles = []
    for axis, (dim, count, scale) in enumerate(zip(dims, (frames, height, width), config.rope_scale, strict=True)):
        theta = 10_000.0 * scale ** (dim / (dim - 2))
        inverse = 1.0 / theta ** (torch.arange(0, dim, 2, dtype=torch.float32, device=device) / dim)
        table = torch.outer(torch.arange(count, dtype=torch.float32, device=device), inverse)
        view = [1, 1, 1, dim // 2]
        view[axis] = count
        angles.append(table.view(view).expand(frames, height, width, -1))
    full = torch.cat(angles, dim=-1).flatten(0, 2).unsqueeze(1)
    return Rotary(full.cos(), full.sin())


class SelfAttention(nn.Module):
    """Attention among all tokens of a row, with query and key normalised per head."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.kernel: Kernel = attention
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.norm_q = nn.RMSNorm(config.head_dim, eps=1e-5)
        self.norm_k = nn.RMSNorm(config.head_dim, eps=1e-5)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def use(self, kernel: Kernel) -> None:
        """Compute attention by this kernel from now on."""
        self.kernel = kernel

    def forward(self, x: Tensor, table: Rotary) -> Tensor:
        """x [R, N, D] -> [R, N, D]."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(2)
        q, k = (normed_heads(part, norm.weight, table) for part, norm in ((q, self.norm_q), (k, self.norm_k)))
        return self.out(self.kernel(q, k, v).flatten(2))


class CrossAttention(nn.Module):
    """Attention of the tokens to the text, whose keys and values are made once per prompt."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q = nn.Linear(config.width, config.width, bias=False)
        self.kv = nn.Linear(config.context_dim, 2 * config.width, bias=False)
        self.norm_q = nn.RMSNorm(config.head_dim, eps=1e-5)
        self.norm_k = nn.RMSNorm(config.head_dim, eps=1e-5)
        self.out = nn.Linear(config.width, config.width, bias=False)
        self.image_bias = nn.Parameter(torch.zeros(config.width))

    def read(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Text tokens [R, L, context_dim] -> keys and values, each [R, L, A, E]."""
        k, v = self.kv(context).unflatten(-1, (2, self.heads, -1)).unbind(2)
        return normed_heads(k, self.norm_k.weight), v

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """x [R, N, D] -> [R, N, D], to which `image_bias` is still to be added."""
        q = normed_heads(self.q(x).unflatten(-1, (self.heads, -1)), self.norm_q.weight)
        return self.out(attention(q, keys, values, mask).flatten(2))


class Time(NamedTuple):
    """Noise levels as the blocks read them."""

    embedded: Tensor  # [B, S, D]
    shared: Tensor  # [B, S, 3 D]: part of every block's shift, scale and gate


class Modulation(nn.Module):
    """Shift, scale and gate of the three parts of every block, low-rank in the time embedding."""

    def __init__(self, config: NetworkConfig, blocks: int) -> None:
        super().__init__()
        self.parts = (blocks, 3, config.adaln_dim)
        self.inner = nn.Linear(config.width, blocks * 3 * config.adaln_dim, bias=False)
        self.outer = nn.Parameter(torch.empty(blocks, 3, 3 * config.width, config.adaln_dim))
        for part in self.outer:
            nn.init.kaiming_uniform_(part, a=math.sqrt(5))

    def forward(self, time: Time) -> Tensor:
        """-> [blocks, 3 parts, B, S, 3 of shift, scale, gate, D]."""
        inner = self.inner(F.silu(time.embedded)).unflatten(-1, self.parts)
        outer = torch.einsum("rtbpa,bpda->bprtd", inner, self.outer) + time.shared
        return outer.unflatten(-1, (3, -1))


class Block(nn.Module):
    """Self-attention, cross-attention, feed-forward; each modulated and gated."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        inner = int(config.width * config.mlp_ratio)
        self.attention = SelfAttention(config)
        self.cross = CrossAttention(config)
        self.up = nn.Linear(config.width, inner, bias=False)
        self.down = nn.Linear(inner, config.width, bias=False)

    def forward(
        self,
        x: Tensor,
        table: Rotary,
        modulation: Tensor,
        text: tuple[Tensor, Tensor, Tensor | None],
        rows: Tensor | None = None,
    ) -> Tensor:
        """One row after the other [R, N, D] -> [R, N, D].

        With `rows` [R], x and modulation [3 parts, B, S, 3, D] come by sample, and row r goes on from sample
        `rows[r]` where it first attends to its text; without, they come by row.
        """
        shift, scale, gate = modulation[0].unbind(2)
        update = self.attention(modulated(x, shift, scale), table)
        if rows is None:
            shift, scale, next_gate = modulation[1].unbind(2)
            x, normal = gated_modulated(x, update, None, gate, shift, scale)
        else:
            x, modulation = gated(x, update, gate)[rows], modulation[:, rows]
            shift, scale, next_gate = modulation[1].unbind(2)
            normal = modulated(x, shift, scale)
        update = self.cross(normal, *text)
        shift, scale, gate = modulation[2].unbind(2)
        x, normal = gated_modulated(x, update, self.cross.image_bias, next_gate, shift, scale)
        return gated(x, self.down(gelu(self.up(normal))), gate)
