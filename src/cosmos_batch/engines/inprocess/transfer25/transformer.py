"""The Transfer2.5 transformer and its control branches, written for batched inference.

Against a straightforward reading of the architecture, what does not change during a run is computed once:
text keys and values, rotary tables, the tokens of a control video. Modulation is per latent frame and not
per token, or per sample where all its frames have one noise level, and of all blocks at once. The guided and the
unguided row of a sample differ in their text alone, so they are one until the first attention to it. The padding
mask of the published network is always zero, so its input channel is left out; its image context is always zero,
so its attention is one constant vector per block (`image_bias`).

Names of dimensions: B samples, R rows (guided and unguided ones apart), C latent channels, T latent frames,
S = T, or 1 where all frames have one noise level, H, W latent height and width, N = T * (H / patch) * (W / patch)
tokens, D width, A heads, E head width, L text tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.gpu.attention import Kernel
from cosmos_batch.engines.inprocess.transfer25.block_ops import Rotary as Rotary
from cosmos_batch.engines.inprocess.transfer25.block_ops import modulated
from cosmos_batch.engines.inprocess.transfer25.blocks import Block, Modulation, Time
from cosmos_batch.engines.inprocess.transfer25.blocks import rotary as rotary
from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig


class Text(NamedTuple):
    """A prompt as one network's cross-attention reads it: keys and values of all its blocks."""

    keys: Tensor  # [blocks, R, L, A, E], normalised
    values: Tensor  # [blocks, R, L, A, E]
    mask: Tensor | None = None  # [R, 1, 1, L] bool, True where there is text; None: everywhere

    def to(self, device: torch.device) -> Text:
        """The same on another device."""
        mask = None if self.mask is None else self.mask.to(device)
        return Text(self.keys.to(device), self.values.to(device), mask)


Arguments = tuple[Tensor, tuple[Tensor, Tensor, Tensor | None], Tensor | None]
"""Of a block: modulation; keys, values and mask of the text; rows."""


class Stem(nn.Module):
    """The first layers of base and control branches: patches, noise levels, text."""

    def __init__(self, config: NetworkConfig, blocks: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patch = nn.Linear((config.latent_channels + 1) * config.patch**2, width, bias=False)
        self.time_in = nn.Linear(width, width, bias=False)
        self.time_out = nn.Linear(width, 3 * width, bias=False)
        self.time_norm = nn.RMSNorm(width, eps=1e-6)
        self.text_in = nn.Linear(config.text_dim, config.context_dim) if config.text_dim else None
        self.modulation = Modulation(config, blocks)
        self.blocks = nn.ModuleList(Block(config) for _ in range(blocks))

    def use_attention(self, kernel: Kernel) -> None:
        """Compute self-attention by this kernel from now on."""
        for block in self.blocks:
            assert isinstance(block, Block)
            block.attention.use(kernel)

    def patches(self, latents: Tensor, known: Tensor) -> Tensor:
        """Latents [B, C, T, H, W], known frames [B, T] (1 where given, 0 where to be made) -> [B, N, ...]."""
        p = self.config.patch
        flag = known[:, None, :, None, None].to(latents.dtype).expand(-1, 1, -1, *latents.shape[-2:])
        x = torch.cat((latents, flag), dim=1)
        x = x.unflatten(4, (-1, p)).unflatten(3, (-1, p))  # B, C, T, H/p, p, W/p, p
        return x.permute(0, 2, 3, 5, 1, 4, 6).flatten(4).flatten(1, 3)

    def time(self, sigma: Tensor) -> Time:
        """Noise levels [B, S] in 0..1 -> their embeddings: cosines, then sines, of frequencies 1 to 1e-4."""
        half = self.config.width // 2
        exponent = torch.arange(half, dtype=torch.float32, device=sigma.device) / half
        angles = sigma.float().unsqueeze(-1) * torch.exp(-math.log(10_000.0) * exponent)
        waves = torch.cat((angles.cos(), angles.sin()), dim=-1).to(self.time_in.weight.dtype)
        return Time(self.time_norm(waves), self.time_out(F.silu(self.time_in(waves))))

    def context(self, features: Tensor) -> Tensor:
        """Text features [R, L, text_dim] -> text tokens [R, L, context_dim]."""
        return features if self.text_in is None else F.gelu(self.text_in(features))

    def read(self, features: Tensor) -> Text:
        """Text features [R, L, text_dim] -> keys and values of all blocks."""
        return self.read_context(self.context(features))

    def read_context(self, context: Tensor) -> Text:
        """Text tokens [R, L, context_dim] -> keys and values of all blocks."""
        pairs = [block.cross.read(context) for block in self.blocks]  # type: ignore[union-attr, operator]
        return Text(torch.stack([k for k, _ in pairs]), torch.stack([v for _, v in pairs]))

    def arguments(self, time: Time, text: Text, rows: Tensor | None) -> Iterator[Arguments]:
        """The inputs of a block beside its tokens; `rows` [R] are the samples whose rows the text holds."""
        by_sample = self.modulation(time)
        by_row = by_sample if rows is None else by_sample[:, :, rows]
        for index, (keys, values) in enumerate(zip(text.keys, text.values, strict=True)):
            words = (keys, values, text.mask)
            yield (by_row[index], words, None) if index else (by_sample[0], words, rows)


class ControlBranch(Stem):
    """One control's branch: residuals for the base, made from the control video and the noisy latents."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, config.control_blocks)
        width = config.width
        self.control_patch = nn.Linear((config.latent_channels + 1) * config.patch**2, width, bias=False)
        self.before = nn.Linear(width, width)
        self.after = nn.ModuleList(nn.Linear(width, width) for _ in range(config.control_blocks))

    def embed(self, control: Tensor, known: Tensor) -> Tensor:
        """A control video's latents [B, C, T, H, W] -> its tokens [B, N, D], the same at every step."""
        return self.before(self.control_patch(self.patches(control, known)))

    def forward(
        self,
        patches: Tensor,
        sigma: Tensor,
        tokens: Tensor,
        text: Text,
        table: Rotary,
        rows: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """Noisy patches and control tokens of B samples -> one residual [R, N, D] per injection, one by one.

        `rows` [R] says whose rows the text holds; None: one row of each sample, in their order.
        """
        x = tokens + self.patch(patches)
        given = self.arguments(self.time(sigma), text, rows)
        for block, after, arguments in zip(self.blocks, self.after, given, strict=True):
            x = block(x, table, *arguments)
            yield after(x)


class Transformer(Stem):
    """The base network: the velocity of noisy latents."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, config.blocks)
        self.out_inner = nn.Linear(config.width, config.adaln_dim, bias=False)
        self.out_outer = nn.Linear(config.adaln_dim, 2 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.latent_channels * config.patch**2, bias=False)

    def forward(
        self,
        patches: Tensor,
        sigma: Tensor,
        text: Text,
        residuals: Sequence[Tensor],
        table: Rotary,
        rows: Tensor | None = None,
    ) -> Tensor:
        """Noisy patches [B, N, ...], noise levels [B, S] -> velocity patches [R, N, patch^2 C].

        `residuals` are the weighted sums over the control branches, [R, N, D] each; empty: no control.
        `rows` [R] says whose rows the text holds; None: one row of each sample, in their order.
        """
        time = self.time(sigma)
        x = self.patch(patches)
        for index, (block, arguments) in enumerate(
            zip(self.blocks, self.arguments(time, text, rows), strict=True)
        ):
            x = block(x, table, *arguments)
            place, rest = divmod(index, self.config.inject_every)
            if rest == 0 and place < len(residuals):
                x = x + residuals[place]
        outer = self.out_outer(self.out_inner(F.silu(time.embedded)))
        outer = outer + time.shared[..., : outer.shape[-1]]
        shift, scale = (outer if rows is None else outer[rows]).chunk(2, dim=-1)
        return self.out(modulated(x, shift, scale))

    def unpatch(self, patches: Tensor, frames: int, height: int, width: int) -> Tensor:
        """Velocity patches [R, N, patch^2 C] -> [R, C, T, H, W]."""
        p = self.config.patch
        x = patches.unflatten(1, (frames, height // p, width // p)).unflatten(-1, (p, p, -1))
        return x.permute(0, 6, 1, 2, 4, 3, 5).flatten(5).flatten(3, 4)
