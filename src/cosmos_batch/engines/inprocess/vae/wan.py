"""The Wan 2.1 video autoencoder, as the published Cosmos-Transfer2.5 checkpoint uses it; inference only.

A video of 1 + 4 n frames becomes 1 + n latent frames at an eighth of its height and width. Memory is bounded
by going through the video in groups of four frames (one latent frame), a few videos at a time and, where
asked, in tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cosmos_batch.engines.inprocess.gpu.host_device import to_device
from cosmos_batch.engines.inprocess.json_files import read_config
from cosmos_batch.engines.inprocess.vae.tiling import blended
from cosmos_batch.engines.inprocess.vae.wan_coders import Decoder, Encoder, WanConfig
from cosmos_batch.engines.inprocess.vae.wan_layers import Past
from cosmos_batch.engines.inprocess.weight_files import load_weights
from cosmos_batch.errors import EngineError

_PIXELS_AT_ONCE = 8 * 320 * 192
"""Pixels up to which groups of four frames go through together. Larger ones keep a GPU busy one by one, in less
memory than denoising them takes."""


class WanVae(nn.Module):
    """Videos to normalised latents and back (see `Vae`); computes in the dtype of its weights, gives float32.

    Encoding takes the mean of the posterior, so it has no randomness.
    """

    def __init__(self, config: WanConfig, tile: int | None = None, videos_at_once: int = 1) -> None:
        """
        Args:
            config: sizes.
            tile: height and width of a tile in pixels, for videos larger than it; None: never in tiles.
                Neighbouring tiles overlap by a quarter at least. Their seams are blended, not exact.
            videos_at_once: how many videos of a batch go through together.
        """
        super().__init__()
        self.latent_channels = config.z_dim
        self.spatial = 2 ** len(config.temporal_downsample)
        self.temporal = 2 ** sum(config.temporal_downsample)
        if tile is not None and (tile % self.spatial or tile < 4 * self.spatial):
            raise EngineError(
                f"tile = {tile}: needed is a multiple of {self.spatial} that is at least {4 * self.spatial}"
            )
        self._tile = None if tile is None else tile // self.spatial
        self._videos_at_once = videos_at_once
        self.encoder = Encoder(config)
        self.quant_conv = nn.Conv3d(2 * config.z_dim, 2 * config.z_dim, 1)
        self.post_quant_conv = nn.Conv3d(config.z_dim, config.z_dim, 1)
        self.decoder = Decoder(config)
        self._memory_format = torch.contiguous_format
        # No buffers: they stay float32 when the weights are cast
        self._mean = torch.tensor(config.latents_mean, device="cpu").view(-1, 1, 1, 1)
        self._std = torch.tensor(config.latents_std, device="cpu").view(-1, 1, 1, 1)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], tile: int | None = None, videos_at_once: int = 1) -> WanVae:
        """With random weights, sized by the content of `vae/config.json`."""
        return cls(WanConfig.from_diffusers(config), tile, videos_at_once)

    @classmethod
    def load(
        cls,
        folder: Path,
        tile: int | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
        *,
        videos_at_once: int = 1,
    ) -> WanVae:
        """From a diffusers `vae` folder: config.json and safetensors. ModelError: they do not fit."""
        with torch.device("meta"):  # drawing random weights first would take long
            vae = cls.from_config(read_config(folder), tile, videos_at_once)
        return load_weights(vae, folder, device, dtype).requires_grad_(False)

    def channels_last(self) -> WanVae:
        """Keep a pixel's channels together in memory, which a GPU's convolutions read fastest."""
        self._memory_format = torch.channels_last_3d
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last_3d)
            elif isinstance(module, nn.Conv2d):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        return self

    @torch.no_grad()
    def encode(self, video: Tensor) -> Tensor:
        """Video [B, 3, F, height, width] in -1..1 -> normalised latents [B, C, T, H, W].

        F must be 1 + temporal * n; height and width multiples of `spatial`. Raises EngineError otherwise.
        """
        self._check_video(video)
        return self._in_parts(self._encode_tile, video, self.spatial, 1)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents [B, C, T, H, W] -> video [B, 3, F, height, width], clamped to -1..1.

        Raises EngineError for another shape.
        """
        if latents.dim() != 5 or latents.shape[1] != self.latent_channels or 0 in latents.shape:
            raise EngineError(
                f"latents of shape {tuple(latents.shape)}: "
                f"needed is [batch, {self.latent_channels}, frames, height, width]"
            )
        return self._in_parts(self._decode_tile, latents, 1, self.spatial).clamp_(-1, 1)

    def _check_video(self, video: Tensor) -> None:
        if video.dim() != 5 or video.shape[1] != 3 or 0 in video.shape:
            raise EngineError(f"video of shape {tuple(video.shape)}: needed is [batch, 3, frames, height, width]")
        _, _, frames, height, width = video.shape
        if (frames - 1) % self.temporal or height % self.spatial or width % self.spatial:
            raise EngineError(
                f"video of {frames} frames, {width}x{height}: needed are 1 + {self.temporal} n frames "
                f"and a width and height that are multiples of {self.spatial}"
            )

    def _in_parts(self, compute: Callable[[Tensor], Tensor], x: Tensor, cell_in: int, cell_out: int) -> Tensor:
        """A few videos at a time, in tiles where they are larger than one."""
        parts = torch.split(x, self._videos_at_once)
        if self._tile is None or max(x.shape[-2:]) <= self._tile * cell_in:
            return torch.cat([compute(part) for part in parts])
        overlap = self._tile // 4
        return torch.cat([blended(compute, part, self._tile, overlap, cell_in, cell_out) for part in parts])

    def _encode_tile(self, video: Tensor) -> Tensor:
        past: Past = {}
        together = self.temporal * self._at_once(video.shape[-2] * video.shape[-1])
        later = range(1, video.shape[2], together)
        groups = [1, *(min(together, video.shape[2] - start) for start in later)]
        frames = torch.split(self._laid_out(video), groups, dim=2)
        moments = torch.cat([self.encoder.step(group, past) for group in frames], dim=2)
        mean = self.quant_conv(moments)[:, : self.latent_channels].float()
        return (mean - to_device(self._mean, mean.device)) / to_device(self._std, mean.device)

    def _decode_tile(self, latents: Tensor) -> Tensor:
        past: Past = {}
        plain = latents.float() * to_device(self._std, latents.device) + to_device(self._mean, latents.device)
        inner = self.post_quant_conv(self._laid_out(plain))
        together = self._at_once(inner.shape[-2] * inner.shape[-1] * self.spatial**2)
        batch, _, count, height, width = inner.shape
        size = (height * self.spatial, width * self.spatial)
        video = torch.empty(batch, 3, 1 + self.temporal * (count - 1), *size, device=inner.device)
        done = 0
        for start in (0, *range(1, count, together)):
            made = self.decoder.step(inner[:, :, start : start + together if start else 1], past)
            video[:, :, done : done + made.shape[2]] = made
            done += made.shape[2]
        return video

    def _at_once(self, pixels: int) -> int:
        """Latent frames after the first that go through together, by the pixels of a frame."""
        return max(1, _PIXELS_AT_ONCE // (self.temporal * pixels))

    def _laid_out(self, x: Tensor) -> Tensor:
        """In the weights' number format and order in memory."""
        return x.to(self.quant_conv.weight, memory_format=self._memory_format)
