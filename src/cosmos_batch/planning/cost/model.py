"""Cost in seconds and bytes: a linear model whose coefficients are never negative.

A denoising forward takes a fixed time, plus time per token, per token and control branch, and per pair of tokens
(attention, of base and branches); a batch takes that for each of its
steps, plus a fixed time, plus time per output pixel and per pixel of control videos (autoencoder, video files). An
input video that a run starts from, or is guided by, is encoded too and counts like a control video.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

BRANCH_ATTENTION = 0.127
"""Attention of a branch over that of the base: 4 of 28 blocks as published, and in the first block of each the
guided and the unguided pass are one, so 7 in place of 55."""


@dataclass(frozen=True, slots=True)
class Work:
    """The properties of a run that determine its cost."""

    steps: int  # denoising steps over all chunks
    rows: int  # of a forward pass: 2 where a guided and an unguided pass share it, else 1
    tokens: int  # of one row: one chunk
    controls: int  # branches that the run goes through
    pixels: int  # width * height * frames of the whole video, and of each control video
    source: bool = False  # whether the input video is encoded beside the control videos

    @property
    def row_tokens(self) -> int:
        """Tokens of a forward pass."""
        return self.rows * self.tokens

    @property
    def encoded_pixels(self) -> int:
        """Pixels of all videos that are encoded: the control videos, and the input video where it is used."""
        return self.pixels * (self.controls + self.source)

    @property
    def pairs(self) -> float:
        """Pairs of tokens that attend to each other in a forward pass, in units of the base's pairs."""
        return self.row_tokens * self.tokens * (1 + BRANCH_ATTENTION * self.controls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The properties of a launch or a batch that determine its cost: sums over its runs, except `steps`."""

    runs: int = 0
    branches: int = 0  # control branches that the launch loads
    steps: int = 0  # denoising steps of the run that takes most
    rows: int = 0  # of one forward pass
    tokens: int = 0  # of one forward pass: rows * tokens
    token_steps: int = 0  # steps * rows * tokens
    control_steps: int = 0  # steps * rows * tokens * controls
    attention_steps: float = 0  # steps * pairs
    pixels: int = 0  # width * height * frames
    control_pixels: int = 0  # the same of control videos, and of input videos that are encoded like them


def features(works: Iterable[Work], branches: int) -> Features:
    """The features of a batch of these works, in a launch with `branches` control branches."""
    all_works = tuple(works)
    return Features(
        runs=len(all_works),
        branches=branches,
        steps=max((work.steps for work in all_works), default=0),
        rows=sum(work.rows for work in all_works),
        tokens=sum(work.row_tokens for work in all_works),
        token_steps=sum(work.steps * work.row_tokens for work in all_works),
        control_steps=sum(work.steps * work.row_tokens * work.controls for work in all_works),
        attention_steps=sum(work.steps * work.pairs for work in all_works),
        pixels=sum(work.pixels for work in all_works),
        control_pixels=sum(work.encoded_pixels for work in all_works),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement(Features):
    """Measured seconds and bytes of a launch (its model load) or of a batch."""

    engine: str
    device: str
    kind: Literal["launch", "batch"]
    seconds: float
    bytes: int | None = None  # peak of the device's memory; None: not known
    frame: int = 0  # width * height of the video that was coded, where nothing else was done
    predicted_seconds: float | None = None  # by the model of that time, before execution; None: not predicted
    first: bool = False  # the first batch of a process, during which the engine compiles and chooses kernels


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """Seconds and bytes of an engine on a device."""

    engine: str
    device: str
    load: float  # seconds to load the model without branches
    load_branch: float  # seconds to load a control branch
    batch: float  # seconds of a batch, whatever its runs
    step: float  # seconds of a denoising step, whatever its runs
    token: float  # seconds of a token in a forward pass through the base
    control: float  # seconds of a token in a forward pass through one branch
    attention: float  # seconds of a pair of tokens in a forward pass
    pixel: float  # seconds of a pixel of a frame: decoding, video files
    model_bytes: float  # of the model without branches
    branch_bytes: float  # of a control branch
    token_bytes: float  # of a token in a forward pass
    control_pixel: float = 0.0  # seconds of a pixel of a frame that is encoded, of a control or an input video
    row_bytes: float = 0.0  # of a row in a forward pass: its text features
    coding_bytes: float = 0.0  # of a pixel of a frame while a video is encoded or decoded
    tile_pixels: int | None = None  # pixels of a frame that are coded at once; None: all
    weight_map: float = 0.0  # seconds that a run with weights as maps adds
    knee_tokens: int | None = None  # tokens of a forward pass that fill the device; None: not known
    memory_bytes: int | None = None  # of the device, weights included; None: no limit known

    @classmethod
    def free(cls, engine: str, device: str) -> CostModel:
        """A model in which nothing takes time or memory, to be given the costs that matter."""
        return cls(
            engine=engine,
            device=device,
            load=0.0,
            load_branch=0.0,
            batch=0.0,
            step=0.0,
            token=0.0,
            control=0.0,
            attention=0.0,
            pixel=0.0,
            model_bytes=0,
            branch_bytes=0,
            token_bytes=0,
        )

    measured: int = 0  # batches that the coefficients were fitted to
    error: float | None = None  # median |predicted - measured| / measured of past batches

    def load_seconds(self, branches: int) -> float:
        """Seconds to load the model with this number of control branches."""
        return self.load + self.load_branch * branches

    def overhead_seconds(self, steps: int) -> float:
        """Seconds of a batch of this number of denoising steps, without what its runs add."""
        return self.batch + self.step * steps

    def run_seconds(self, work: Work) -> float:
        """Seconds that a run adds to its batch."""
        per_token = self.token + self.control * work.controls
        step = work.row_tokens * per_token + self.attention * work.pairs
        return work.steps * step + self.coding_seconds(work)

    def coding_seconds(self, work: Work) -> float:
        """The seconds of a run in which its videos are encoded, decoded and written."""
        return self.pixel * work.pixels + self.control_pixel * work.encoded_pixels

    def batch_seconds(self, batch: Features) -> float:
        """Seconds of a batch, without the model load."""
        return (
            self.overhead_seconds(batch.steps)
            + self.token * batch.token_steps
            + self.control * batch.control_steps
            + self.attention * batch.attention_steps
            + self.pixel * batch.pixels
            + self.control_pixel * batch.control_pixels
        )

    def peak_bytes(self, tokens: int, branches: int, rows: int = 0, frame: int = 0) -> int:
        """Peak of the device's memory in a batch, weights included.

        Args:
            tokens: tokens of a forward pass.
            branches: control branches that are loaded.
            rows: rows of a forward pass.
            frame: width * height of the largest video; videos are coded one by one, between two forward passes.
        """
        kept = self.model_bytes + self.branch_bytes * branches + self.row_bytes * rows
        return round(kept + max(self.token_bytes * tokens, self.coding_bytes * self.coded(frame)))

    def coded(self, frame: int) -> int:
        """Pixels that are encoded or decoded at once, of a frame of `frame` pixels."""
        return frame if self.tile_pixels is None else min(frame, self.tile_pixels)
