"""A small video autoencoder without causal convolutions: time is folded into channels.

A video of 1 + 4 n frames becomes 1 + n latent frames at an eighth of its height and width: the first frame (four
times over) and then every four frames are one picture of 12 channels, encoded by itself. The decoder looks at the
neighbouring latent frames too. It is the autoencoder of the embedded model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cosmos_batch.engines.inprocess.json_files import integer_fields, read_config
from cosmos_batch.engines.inprocess.weight_files import load_weights
from cosmos_batch.errors import EngineError

_GROUP = 4  # frames of a latent frame
_FOLD = 4  # pixels that the encoder's first layer folds into channels, each way
_NORM_GROUPS = 16


@dataclass(frozen=True, slots=True)
class FoldedConfig:
    """Widths, all multiples of 16."""

    latent_channels: int = 16
    encoder_fine: int = 112  # at a quarter of the height and width
    encoder_coarse: int = 160  # at an eighth
    decoder_coarse: int = 176  # at an eighth
    decoder_fine: int = 128  # at a quarter
    decoder_finest: int = 80  # at a half


class _Residual(nn.Module):
    """Two normalised convolutions added to what they read."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(_NORM_GROUPS, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(_NORM_GROUPS, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[G, width, h, w] to the same."""
        y = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(y)))


class _Neighbours(nn.Module):
    """Adds to each latent frame what the ones before and after it say of the same place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_NORM_GROUPS, width)
        self.mix = nn.Conv3d(width, width, (3, 1, 1))

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B * frames, width, h, w] to the same."""
        rows = F.silu(self.norm(x)).unflatten(0, (-1, frames)).transpose(1, 2)
        rows = torch.cat((rows[:, :, :1], rows, rows[:, :, -1:]), dim=2)
        return x + self.mix(rows).transpose(1, 2).flatten(0, 1)


def _head(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.GroupNorm(_NORM_GROUPS, width), nn.SiLU(), nn.Conv2d(width, out, 3, padding=1))


class _Decoder(nn.Module):
    def __init__(self, config: FoldedConfig) -> None:
        super().__init__()
        coarse, fine, finest = config.decoder_coarse, config.decoder_fine, config.decoder_finest
        self.begin = nn.Conv2d(config.latent_channels, coarse, 3, padding=1)
        self.coarse_time = _Neighbours(coarse)
        self.coarse = _Residual(coarse)
        self.to_fine = nn.Conv2d(coarse, 4 * fine, 1)
        self.fine_time = _Neighbours(fine)
        self.fine = nn.Sequential(_Residual(fine), _Residual(fine))
        self.to_finest = nn.Conv2d(fine, 4 * finest, 1)
        self.finest = nn.Sequential(_Residual(finest), _Residual(finest))
        self.end = _head(finest, 4 * 3 * _GROUP)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B * frames, C, h, w] -> [B * frames, 12, 8 h, 8 w]."""
        x = self.coarse(self.coarse_time(self.begin(x), frames))
        x = self.fine(self.fine_time(F.pixel_shuffle(self.to_fine(x), 2), frames))
        x = self.finest(F.pixel_shuffle(self.to_finest(x), 2))
        return F.pixel_shuffle(self.end(x), 2)


class FoldedVae(nn.Module):
    """Videos to normalised latents and back (see `Vae`); computes in the dtype of its weights, gives float32."""

    mean: Tensor  # [C, 1, 1, 1] of the latents before they are normalised
    std: Tensor  # [C, 1, 1, 1]

    def __init__(self, config: FoldedConfig) -> None:
        super().__init__()
        self.sizes = config
        self.latent_channels = config.latent_channels
        self.spatial = 8
        self.temporal = _GROUP
        fine, coarse = config.encoder_fine, config.encoder_coarse
        self.encoder = nn.Sequential(
            nn.Conv2d(3 * _GROUP * _FOLD**2, fine, 3, padding=1),
            _Residual(fine),
            _Residual(fine),
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1),
            _Residual(coarse),
            _head(coarse, config.latent_channels),
        )
        self.decoder = _Decoder(config)
        self.register_buffer("mean", torch.zeros(config.latent_channels, 1, 1, 1))
        self.register_buffer("std", torch.ones(config.latent_channels, 1, 1, 1))

    @property
    def config(self) -> dict[str, Any]:
        """The content of `vae/config.json`."""
        return {"_class_name": "FoldedVae"} | asdict(self.sizes)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> FoldedVae:
        """With random weights, sized by the content of `vae/config.json`. ModelError: a size is missing."""
        names = (field.name for field in fields(FoldedConfig))
        return cls(FoldedConfig(**integer_fields(config, names, "vae/config.json", "FoldedVae")))

    @classmethod
    def load(cls, folder: Path) -> FoldedVae:
        """From a folder of config.json and safetensors, in float32. ModelError: they do not fit."""
        return load_weights(cls.from_config(read_config(folder)), folder)

    def raw(self, video: Tensor) -> Tensor:
        """Video [B, 3, F, height, width] in -1..1 -> latents [B, C, T, h, w], not yet normalised."""
        first = video[:, :, :1].expand(-1, -1, _GROUP, -1, -1)
        groups = torch.cat((first, video[:, :, 1:]), dim=2).unflatten(2, (-1, _GROUP))
        pictures = groups.permute(0, 2, 1, 3, 4, 5).flatten(2, 3).flatten(0, 1)
        latents = self.encoder(F.pixel_unshuffle(pictures, _FOLD))
        return latents.unflatten(0, (len(video), -1)).transpose(1, 2)

    def unraw(self, latents: Tensor) -> Tensor:
        """Latents that are not normalised -> video [B, 3, F, height, width], not clamped."""
        frames = latents.shape[2]
        pictures = self.decoder(latents.transpose(1, 2).flatten(0, 1), frames)
        video = pictures.unflatten(1, (3, _GROUP)).unflatten(0, (-1, frames)).permute(0, 2, 1, 3, 4, 5)
        return torch.cat((video[:, :, 0, :1], video[:, :, 1:].flatten(2, 3)), dim=2)

    @torch.no_grad()
    def encode(self, video: Tensor) -> Tensor:
        """Video [B, 3, F, height, width] in -1..1 -> normalised latents [B, C, T, H, W], no randomness.

        F must be 1 + temporal * n; height and width multiples of `spatial`. Raises EngineError otherwise.
        """
        frames, height, width = video.shape[2:]
        if (frames - 1) % self.temporal or height % self.spatial or width % self.spatial:
            raise EngineError(
                f"video of {frames} frames, {width}x{height}: needed are 1 + {self.temporal} n frames "
                f"and a width and height that are multiples of {self.spatial}"
            )
        return (self.raw(video.to(self.mean.dtype)).float() - self.mean.float()) / self.std.float()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents [B, C, T, H, W] -> video [B, 3, F, height, width], clamped to -1..1."""
        raw = latents.float() * self.std.float() + self.mean.float()
        return self.unraw(raw.to(self.mean.dtype)).float().clamp(-1, 1)
