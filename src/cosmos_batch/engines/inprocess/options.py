"""What a user may ask of the in-process engine beside what it makes: less memory, more GPUs, approximations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

TILE = 512
"""Pixels of the height and width of the autoencoder's tiles. What a decoder holds goes with the area that it goes
over, so at 1280x704 these take 29 % of it; neighbours overlap by a quarter, so six of them cover 1.75 times the
picture. At 832x480 two cover 1.23 times, each of 62 %. Smaller ones hold less still, but overlap more: of 384
pixels, 15 cover 2.5 times a picture of 1280x704."""


class Part(StrEnum):
    """A part of a model that may wait in the machine's memory while the device does not need it."""

    TEXT = "text"  # the text encoder, which a prompt needs once
    VAE = "vae"  # the autoencoder, which a video needs when it joins and when it is done
    BRANCHES = "branches"  # every control branch but the one that is at work


class Approximation(StrEnum):
    """What makes videos sooner, or in less memory, and not quite the same. Every video's record names it."""

    STEP_CACHING = "step-caching"  # some steps are estimated from those before them
    FLOAT8_ATTENTION = "float8-attention"  # self-attention in 8 bits
    VAE_TILING = "vae-tiling"  # the autoencoder goes over tiles, blended at their seams


@dataclass(frozen=True, slots=True)
class Options:
    """How the engine is to run. The default is exact, on one device, with everything in its memory."""

    offload: frozenset[Part] = frozenset()
    approximations: frozenset[Approximation] = frozenset()
    split_guidance: bool = False  # the guided and the unguided pass on a GPU each

    @property
    def gpus(self) -> int:
        """How many GPUs one engine takes."""
        return 2 if self.split_guidance else 1

    @property
    def words(self) -> tuple[str, ...]:
        """What is asked for, in a fixed order: costs are measured and kept apart by it."""
        offload = (f"offload-{part}" for part in sorted(self.offload))
        split = ("split-guidance",) if self.split_guidance else ()
        return (*sorted(self.approximations), *offload, *split)
