"""Text encoder and autoencoder whose weights are in the host's memory while they do not compute."""

from __future__ import annotations

from torch import Tensor

from cosmos_batch.engines.inprocess.gpu.offload import OffloadedModule
from cosmos_batch.engines.inprocess.text.base import TextEncoder
from cosmos_batch.engines.inprocess.vae.base import Vae


class OffloadedText:
    """A text encoder that is on the device while it encodes."""

    def __init__(self, text: TextEncoder, module: OffloadedModule) -> None:
        self._text = text
        self._module = module

    @property
    def pending_bytes(self) -> int:
        """Nothing: its memory is free again after each prompt."""
        return 0

    def encode(self, prompt: str) -> Tensor:
        """A prompt -> features [L, text_dim]."""
        with self._module.on_device():
            return self._text.encode(prompt)


class OffloadedVae:
    """An autoencoder that is on the device while it encodes or decodes."""

    def __init__(self, vae: Vae, module: OffloadedModule) -> None:
        self._vae = vae
        self._module = module
        self.latent_channels = vae.latent_channels
        self.spatial = vae.spatial
        self.temporal = vae.temporal

    def encode(self, video: Tensor) -> Tensor:
        """Video [B, 3, F, height, width] in -1..1 -> normalised latents [B, C, T, H, W]."""
        with self._module.on_device():
            return self._vae.encode(video)

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents [B, C, T, H, W] -> video [B, 3, F, height, width] in -1..1."""
        with self._module.on_device():
            return self._vae.decode(latents)
