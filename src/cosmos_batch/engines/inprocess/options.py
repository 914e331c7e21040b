"""Options of the in-process engine: offloading, two GPUs, approximations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

TILE = 512
"""Pixels of the height and width of the autoencoder's tiles. A decoder's memory is proportional to the area that
it decodes, so at 1280x704 tiles take 29 % of it; neighbours overlap by a quarter, so six of them cover 1.75 times
the picture. At 832x480 two cover 1.23 times, each of 62 %. Smaller tiles hold less, but overlap more: of 384
pixels, 15 cover 2.5 times a picture of 1280x704."""


class Part(StrEnum):
    """Parts of a model that can be in the host's memory while the device does not need them."""

    TEXT = "text"  # the text encoder, needed once per prompt
    VAE = "vae"  # the autoencoder, needed when a run joins and when it is done
    BRANCHES = "branches"  # every control branch but the one that computes


class Approximation(StrEnum):
    """Approximations: faster or smaller, and not exact. Every video's record names them."""

    STEP_CACHING = "step-caching"  # some steps are estimated from those before them
    FLOAT8_ATTENTION = "float8-attention"  # self-attention in 8 bits
    VAE_TILING = "vae-tiling"  # the autoencoder computes tiles, blended at their seams


@dataclass(frozen=True, slots=True)
class Options:
    """Options of an engine. The default is exact, on one device, with everything in its memory."""

    offload: frozenset[Part] = frozenset()
    approximations: frozenset[Approximation] = frozenset()
    split_guidance: bool = False  # the guided and the unguided pass on a GPU each

    @property
    def gpus(self) -> int:
        """Number of GPUs that one engine takes."""
        return 2 if self.split_guidance else 1

    @property
    def words(self) -> tuple[str, ...]:
        """The options as words, in a fixed order: costs are measured separately for each combination."""
        offload = (f"offload-{part}" for part in sorted(self.offload))
        split = ("split-guidance",) if self.split_guidance else ()
        return (*sorted(self.approximations), *offload, *split)
