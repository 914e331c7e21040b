"""What the engine needs of a text encoder."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class TextEncoder(Protocol):
    """Prompts to features."""

    def encode(self, prompt: str) -> Tensor:
        """A prompt -> features [L, text_dim]. The empty prompt has features too (L >= 1)."""
