"""The protocol of text encoders."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class TextEncoder(Protocol):
    """Encodes prompts to features."""

    def encode(self, prompt: str) -> Tensor:
        """A prompt -> features [L, text_dim]. The empty prompt has features too (L >= 1)."""
