"""What a video's size is for the network."""

from __future__ import annotations

from dataclasses import dataclass

from cosmos_batch.engines.inprocess.transfer25.config import NetworkConfig

CONFIG = NetworkConfig()


@dataclass(frozen=True)
class Size:
    """Pixels and frames of one chunk, and what they are for the network."""

    width: int
    height: int
    frames: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """From "832x480x93"."""
        return cls(*map(int, text.split("x")))

    @property
    def latent(self) -> tuple[int, int, int, int]:
        """C, T, H, W."""
        return CONFIG.latent_channels, (self.frames - 1) // 4 + 1, self.height // 8, self.width // 8

    @property
    def tokens(self) -> int:
        """Of one row."""
        _, frames, height, width = self.latent
        return frames * height * width // CONFIG.patch**2

    def __str__(self) -> str:
        return f"{self.width}x{self.height}x{self.frames}"
