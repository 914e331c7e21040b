"""The protocol of a video autoencoder."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Vae(Protocol):
    """Videos to latents and back. The first latent frame stands for the first frame alone."""

    latent_channels: int
    spatial: int  # pixels per latent pixel, each way
    temporal: int  # frames per latent frame after the first

    def encode(self, video: Tensor) -> Tensor:
        """Video [B, 3, F, height, width] in -1..1 -> normalised latents [B, C, T, H, W], no randomness.

        F must be 1 + temporal * n; height and width multiples of `spatial`.
        """

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents [B, C, T, H, W] -> video [B, 3, F, height, width] in -1..1."""
