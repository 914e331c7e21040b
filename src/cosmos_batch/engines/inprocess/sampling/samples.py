"""Samples of a denoising batch, and the network's pass over them, as every model family has them.

Names of dimensions: B samples, C latent channels, T latent frames, H, W latent height and width, N tokens of a
sample, D width of a token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.sampling.schedule import Schedule
from cosmos_batch.engines.inprocess.sampling.source_blend import SourceBlend

Velocity = Callable[[Tensor, Tensor], Tensor]
"""Noisy latents [B, C, T, H, W] and their noise levels [B], float32 -> the guided velocity, float32, valid until
the next call."""


@dataclass(frozen=True, slots=True)
class ControlInput:
    """One control of one sample."""

    latents: Tensor  # [1, C, T, H, W]
    weight: Tensor  # [] or, from a mask, [N]; as it is applied, already normalised


@dataclass(frozen=True, slots=True)
class Conditioning:
    """All inputs that one chunk of one run is denoised from. None of them depends on other runs of the batch."""

    schedule: Schedule
    guidance: float  # g in c + g (c - u); 0: the unguided pass is not run
    prompt: str
    negative: str
    guides: Mapping[str, ControlInput]
    known: Tensor  # [1, T]: 1 for latent frames that are given
    given: Tensor  # [1, C, T, H, W]: their latents, zero elsewhere
    noise: Tensor  # [1, C, T, H, W]: what the sample started from
    blend: SourceBlend | None = None  # guided generation


@dataclass(frozen=True, slots=True)
class PreparedSample:
    """The inputs that one sample adds to every step, computed when it joins."""

    conditions: Conditioning
    tokens: Mapping[str, Tensor]  # of each control, [1, N, D]
    drift: Tensor  # [1, C, T, H, W]: velocity of the given frames, zero elsewhere


class Passes(Protocol):
    """The network as a batch uses it."""

    @property
    def device(self) -> torch.device:
        """The device of the latents."""

    def tokens(self, conditions: Conditioning) -> dict[str, Tensor]:
        """Compute the tokens of each control video of a sample, [1, N, D]: the same at every step."""

    def arranged(self, samples: Sequence[PreparedSample]) -> Velocity:
        """Lay out the network's pass over these samples, in this order."""

    def forget(self) -> None:
        """Free what is kept between steps and can be computed again."""


def apply_guidance(guided: Tensor, unguided: Tensor, samples: Tensor, guidance: Tensor) -> Tensor:
    """Classifier-free guidance c + g (c - u), for the samples that have an unguided velocity u.

    Args:
        guided: c of all samples, [B, C, T, H, W].
        unguided: u of some, [u, C, T, H, W].
        samples: which these are, [u].
        guidance: their g, [u, 1, 1, 1, 1].
    """
    return guided.index_add(0, samples, guidance * (guided[samples] - unguided))
