"""The protocol of text encoders."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class TextEncoder(Protocol):
    """Encodes prompts to features."""

    @property
    def pending_bytes(self) -> int:
        """Bytes of the device's memory that it will take and has not taken yet."""

    def encode(self, prompt: str) -> Tensor:
        """A prompt -> features [L, text_dim]. The empty prompt has features too (L >= 1)."""
