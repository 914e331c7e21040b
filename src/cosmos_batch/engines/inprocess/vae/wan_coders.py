"""Sizes, encoder and decoder of the Wan 2.1 video autoencoder. Shapes are [B, C, T, H, W]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from cosmos_batch.engines.inprocess.vae.wan_layers import (
    CausalConv3d,
    Down,
    Middle,
    Past,
    Residual,
    RmsNorm,
    Up,
)
from cosmos_batch.errors import ModelError

_SUPPORTED = {
    "attn_scales": [],
    "is_residual": False,
    "in_channels": 3,
    "out_channels": 3,
    "patch_size": None,
}
"""What sets the Wan 2.1 autoencoder apart from its relatives in diffusers."""


@dataclass(frozen=True, slots=True)
class WanConfig:
    """Sizes of the autoencoder; the defaults are those of Wan 2.1, without its latent statistics."""

    latents_mean: tuple[float, ...]  # per latent channel
    latents_std: tuple[float, ...]  # per latent channel
    base_dim: int = 96
    decoder_base_dim: int = 96
    z_dim: int = 16  # latent channels
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)  # channels per level, in base_dim
    num_res_blocks: int = 2  # per level of the encoder; the decoder has one more
    temporal_downsample: tuple[bool, ...] = (False, True, True)  # which of the encoder's steps halve time too

    def __post_init__(self) -> None:
        counts = (len(self.latents_mean), len(self.latents_std))
        if counts != (self.z_dim, self.z_dim):
            raise ModelError(
                f"latents_mean and latents_std have {counts[0]} and {counts[1]} numbers; "
                f"needed is one per latent channel, z_dim = {self.z_dim}"
            )
        if len(self.temporal_downsample) != len(self.dim_mult) - 1:
            raise ModelError(
                f"temperal_downsample has {len(self.temporal_downsample)} entries and dim_mult "
                f"{len(self.dim_mult)}; needed is one entry between every two levels"
            )

    @classmethod
    def from_diffusers(cls, config: Mapping[str, Any]) -> WanConfig:
        """From the content of `vae/config.json`. Raises ModelError where it describes another autoencoder."""
        wrong = {k: config[k] for k, wanted in _SUPPORTED.items() if config.get(k, wanted) != wanted}
        if wrong:
            raise ModelError(f"vae/config.json: {wrong}: this is no Wan 2.1 autoencoder; needed is {_SUPPORTED}")
        missing = [name for name in ("latents_mean", "latents_std") if config.get(name) is None]
        if missing:
            raise ModelError(f"vae/config.json: {', '.join(missing)} missing; needed is one number per channel")
        base = config.get("base_dim", 96)
        return cls(
            latents_mean=tuple(config["latents_mean"]),
            latents_std=tuple(config["latents_std"]),
            base_dim=base,
            decoder_base_dim=config.get("decoder_base_dim") or base,
            z_dim=config.get("z_dim", 16),
            dim_mult=tuple(config.get("dim_mult", (1, 2, 4, 4))),
            num_res_blocks=config.get("num_res_blocks", 2),
            temporal_downsample=tuple(config.get("temperal_downsample", (False, True, True))),
        )


class Encoder(nn.Module):
    """Frames to the mean and log-variance of their latents."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        widths = [config.base_dim * factor for factor in (1, *config.dim_mult)]
        self.conv_in = CausalConv3d(3, widths[0])
        self.down_blocks = nn.ModuleList()
        for level, (inside, outside) in enumerate(pairwise(widths)):
            self.down_blocks.extend(
                Residual(inside if i == 0 else outside, outside) for i in range(config.num_res_blocks)
            )
            if level < len(config.temporal_downsample):
                self.down_blocks.append(Down(outside, config.temporal_downsample[level]))
        self.mid_block = Middle(widths[-1])
        self.norm_out = RmsNorm(widths[-1], 3)
        self.conv_out = CausalConv3d(widths[-1], 2 * config.z_dim)

    def step(self, x: Tensor, past: Past) -> Tensor:
        """One frame (the first) or a group of frames -> one latent frame [B, 2 Z, 1, H, W]."""
        x = self.conv_in.step(x, past)
        for block in (*self.down_blocks, self.mid_block):
            x = block.step(x, past)
        return self.conv_out.joined(self.conv_out.behind(self.norm_out, x, past))


class UpBlock(nn.Module):
    """Residual blocks of one level of the decoder, then the step to the next level, if any."""

    def __init__(self, inside: int, outside: int, blocks: int, up: Up | None) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(Residual(inside if i == 0 else outside, outside) for i in range(blocks))
        self.upsamplers = nn.ModuleList([up] if up else [])

    def step(self, x: Tensor, past: Past) -> Tensor:
        """A group of frames -> as many, or twice as many where the step doubles time."""
        for block in (*self.resnets, *self.upsamplers):
            x = block.step(x, past)
        return x


class Decoder(nn.Module):
    """Latents to frames."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        reverse = config.dim_mult[::-1]
        widths = [config.decoder_base_dim * factor for factor in (reverse[0], *reverse)]
        times = config.temporal_downsample[::-1]
        self.conv_in = CausalConv3d(config.z_dim, widths[0])
        self.mid_block = Middle(widths[0])
        self.up_blocks = nn.ModuleList()
        for level, (inside, outside) in enumerate(pairwise(widths)):
            up = Up(outside, times[level]) if level < len(times) else None
            halved = inside // 2 if level else inside  # the step up before has halved the channels
            self.up_blocks.append(UpBlock(halved, outside, config.num_res_blocks + 1, up))
        self.norm_out = RmsNorm(widths[-1], 3)
        self.conv_out = CausalConv3d(widths[-1], 3)

    def step(self, x: Tensor, past: Past) -> Tensor:
        """One latent frame [B, Z, 1, H, W] -> one frame (the first) or a group of frames."""
        x = self.mid_block.step(self.conv_in.step(x, past), past)
        for block in self.up_blocks:
            x = block.step(x, past)  # type: ignore[operator]
        return self.conv_out.joined(self.conv_out.behind(self.norm_out, x, past))
