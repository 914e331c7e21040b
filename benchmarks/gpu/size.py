"""A chunk's size in pixels and frames, in latents and in tokens."""

from __future__ import annotations

from dataclasses import dataclass

from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig

CONFIG = NetworkConfig()


@dataclass(frozen=True)
class Size:
    """Pixels and frames of one chunk."""

    width: int
    height: int
    frames: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Parse a size such as "832x480x93"."""
        return cls(*map(int, text.split("x")))

    @property
    def latent(self) -> tuple[int, int, int, int]:
        """Shape of the latents: C, T, H, W."""
        return CONFIG.latent_channels, (self.frames - 1) // 4 + 1, self.height // 8, self.width // 8

    @property
    def tokens(self) -> int:
        """Tokens of one row."""
        _, frames, height, width = self.latent
        return frames * height * width // CONFIG.patch**2

    def __str__(self) -> str:
        return f"{self.width}x{self.height}x{self.frames}"
