"""The Transfer2.5 transformer and its control branches, written for batched inference.

Against a straightforward reading of the architecture, what does not change during a run is computed once:
text keys and values, rotary tables, the tokens of a control video. Modulation is per latent frame and not
per token. The padding mask of the published network is always zero, so its input channel is left out; its
image context is always zero, so its attention is one constant vector per block (`image_bias`).

Names of dimensions: R rows (samples, guided and unguided ones apart), C latent channels, T latent frames,
H, W latent height and width, N = T * (H / patch) * (W / patch) tokens, D width, A heads, E head width,
L text tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cosmos_batch.engines.transfer.config import NetworkConfig


class Text(NamedTuple):
    """A prompt as one network's cross-attention reads it: keys and values of all its blocks."""

    keys: Tensor  # [blocks, R, A, L, E], normalised
    values: Tensor  # [blocks, R, A, L, E]
    mask: Tensor | None = None  # [R, 1, 1, L] bool, True where there is text; None: everywhere


class Rotary(NamedTuple):
    """Rotary tables for one latent shape."""

    cos: Tensor  # [N, E]
    sin: Tensor  # [N, E]


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
    full = torch.cat(angles * 2, dim=-1).flatten(0, 2)
    return Rotary(full.cos(), full.sin())


def _rotate(x: Tensor, table: Rotary) -> Tensor:
    real, imaginary = x.chunk(2, dim=-1)
    turned = torch.cat((-imaginary, real), dim=-1)
    wide = torch.promote_types(x.dtype, torch.float32)
    return (x.to(wide) * table.cos + turned.to(wide) * table.sin).to(x.dtype)


class SelfAttention(nn.Module):
    """Attention among all tokens of a row, with query and key normalised per head."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.norm_q = nn.RMSNorm(config.head_dim, eps=1e-5)
        self.norm_k = nn.RMSNorm(config.head_dim, eps=1e-5)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, table: Rotary) -> Tensor:
        """x [R, N, D] -> [R, N, D]."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = _rotate(self.norm_q(q), table), _rotate(self.norm_k(k), table)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).flatten(2))


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
        """Text tokens [R, L, context_dim] -> keys and values, each [R, A, L, E]."""
        k, v = self.kv(context).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.norm_k(k), v

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """x [R, N, D] -> [R, N, D]."""
        q = self.norm_q(self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2))
        mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2)) + self.image_bias


class Modulation(nn.Module):
    """Shift, scale and gate of the three parts of a block, low-rank in the time embedding."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.width, 3 * config.adaln_dim, bias=False)
        self.outer = nn.Parameter(torch.empty(3, 3 * config.width, config.adaln_dim))
        nn.init.kaiming_uniform_(self.outer, a=math.sqrt(5))

    def forward(self, time: Time) -> Tensor:
        """-> [3 parts, 3 of shift, scale, gate, R, T, 1, D]."""
        inner = self.inner(F.silu(time.embedded)).unflatten(-1, (3, -1))
        outer = torch.einsum("rtpa,pda->prtd", inner, self.outer) + time.shared
        return outer.unflatten(-1, (3, -1)).permute(0, 3, 1, 2, 4).unsqueeze(4)


class Time(NamedTuple):
    """Noise levels as the blocks read them."""

    embedded: Tensor  # [R, T, D]
    shared: Tensor  # [R, T, 3 D]: part of every block's shift, scale and gate


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise x [R, N, D], then scale and shift [R, T, 1, D] each frame's tokens."""
    normal = F.layer_norm(x, x.shape[-1:], eps=1e-6).unflatten(1, (shift.shape[1], -1))
    return (normal * (1 + scale) + shift).flatten(1, 2)


def _gated(x: Tensor, update: Tensor, gate: Tensor) -> Tensor:
    return x + (update.unflatten(1, (gate.shape[1], -1)) * gate).flatten(1, 2)


class Block(nn.Module):
    """Self-attention, cross-attention, feed-forward; each modulated and gated."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        inner = int(config.width * config.mlp_ratio)
        self.modulation = Modulation(config)
        self.attention = SelfAttention(config)
        self.cross = CrossAttention(config)
        self.up = nn.Linear(config.width, inner, bias=False)
        self.down = nn.Linear(inner, config.width, bias=False)

    def forward(self, x: Tensor, time: Time, text: tuple[Tensor, Tensor, Tensor | None], table: Rotary) -> Tensor:
        """x [R, N, D] -> [R, N, D]."""
        attend, cross, feed = self.modulation(time)
        x = _gated(x, self.attention(_modulated(x, attend[0], attend[1]), table), attend[2])
        x = _gated(x, self.cross(_modulated(x, cross[0], cross[1]), *text), cross[2])
        return _gated(x, self.down(F.gelu(self.up(_modulated(x, feed[0], feed[1])))), feed[2])


class Stem(nn.Module):
    """What base and control branches begin with: patches, noise levels, text."""

    def __init__(self, config: NetworkConfig, blocks: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patch = nn.Linear((config.latent_channels + 1) * config.patch**2, width, bias=False)
        self.time_in = nn.Linear(width, width, bias=False)
        self.time_out = nn.Linear(width, 3 * width, bias=False)
        self.time_norm = nn.RMSNorm(width, eps=1e-6)
        self.text_in = nn.Linear(config.text_dim, config.context_dim) if config.text_dim else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(blocks))

    def patches(self, latents: Tensor, known: Tensor) -> Tensor:
        """Latents [R, C, T, H, W], known frames [R, T] (1 where given, 0 where to be made) -> [R, N, ...]."""
        p = self.config.patch
        flag = known[:, None, :, None, None].to(latents.dtype).expand(-1, 1, -1, *latents.shape[-2:])
        x = torch.cat((latents, flag), dim=1)
        x = x.unflatten(4, (-1, p)).unflatten(3, (-1, p))  # R, C, T, H/p, p, W/p, p
        return x.permute(0, 2, 3, 5, 1, 4, 6).flatten(4).flatten(1, 3)

    def time(self, sigma: Tensor) -> Time:
        """Noise levels [R, T] in 0..1 -> their embeddings: cosines, then sines, of frequencies 1 to 1e-4."""
        half = self.config.width // 2
        exponent = torch.arange(half, dtype=torch.float32, device=sigma.device) / half
        angles = sigma.float().unsqueeze(-1) * torch.exp(-math.log(10_000.0) * exponent)
        waves = torch.cat((angles.cos(), angles.sin()), dim=-1).to(self.time_in.weight.dtype)
        return Time(self.time_norm(waves), self.time_out(F.silu(self.time_in(waves))))

    def read(self, features: Tensor) -> Text:
        """Text features [R, L, text_dim] -> keys and values of all blocks."""
        context = F.gelu(self.text_in(features)) if self.text_in is not None else features
        pairs = [block.cross.read(context) for block in self.blocks]  # type: ignore[union-attr, operator]
        return Text(torch.stack([k for k, _ in pairs]), torch.stack([v for _, v in pairs]))


class ControlBranch(Stem):
    """One control's branch: residuals for the base, made from the control video and the noisy latents."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, config.control_blocks)
        width = config.width
        self.control_patch = nn.Linear((config.latent_channels + 1) * config.patch**2, width, bias=False)
        self.before = nn.Linear(width, width)
        self.after = nn.ModuleList(nn.Linear(width, width) for _ in range(config.control_blocks))

    def embed(self, control: Tensor, known: Tensor) -> Tensor:
        """A control video's latents [R, C, T, H, W] -> its tokens [R, N, D], the same at every step."""
        return self.before(self.control_patch(self.patches(control, known)))

    def forward(self, patches: Tensor, sigma: Tensor, tokens: Tensor, text: Text, table: Rotary) -> list[Tensor]:
        """Noisy patches of R rows and their control tokens -> one residual [R, N, D] per injection."""
        time = self.time(sigma)
        x = tokens + self.patch(patches)
        residuals = []
        for block, after, keys, values in zip(self.blocks, self.after, text.keys, text.values, strict=True):
            x = block(x, time, (keys, values, text.mask), table)
            residuals.append(after(x))
        return residuals


class Transformer(Stem):
    """The base network: the velocity of noisy latents."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, config.blocks)
        self.out_inner = nn.Linear(config.width, config.adaln_dim, bias=False)
        self.out_outer = nn.Linear(config.adaln_dim, 2 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.latent_channels * config.patch**2, bias=False)

    def forward(
        self, patches: Tensor, sigma: Tensor, text: Text, residuals: Sequence[Tensor], table: Rotary
    ) -> Tensor:
        """Noisy patches [R, N, ...], noise levels [R, T] -> velocity patches [R, N, patch^2 C].

        `residuals` are the weighted sums over the control branches, [R, N, D] each; empty: no control.
        """
        time = self.time(sigma)
        x = self.patch(patches)
        for index, (block, keys, values) in enumerate(zip(self.blocks, text.keys, text.values, strict=True)):
            x = block(x, time, (keys, values, text.mask), table)
            place, rest = divmod(index, self.config.inject_every)
            if rest == 0 and place < len(residuals):
                x = x + residuals[place]
        outer = self.out_outer(self.out_inner(F.silu(time.embedded)))
        shift, scale = (outer + time.shared[..., : outer.shape[-1]]).unsqueeze(2).chunk(2, dim=-1)
        return self.out(_modulated(x, shift, scale))

    def unpatch(self, patches: Tensor, frames: int, height: int, width: int) -> Tensor:
        """Velocity patches [R, N, patch^2 C] -> [R, C, T, H, W]."""
        p = self.config.patch
        x = patches.unflatten(1, (frames, height // p, width // p)).unflatten(-1, (p, p, -1))
        return x.permute(0, 6, 1, 2, 4, 3, 5).flatten(5).flatten(3, 4)
