"""Small steps as CUDA graphs.

A step of few tokens is over before the host has launched its two thousand kernels one by one. Recorded once and
replayed, they take one launch. A step of many tokens gains nothing, and its recording would hold memory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Compute = Callable[[Tensor, Tensor], Tensor]

MOST_TOKENS = 40_000
"""Tokens of a forward pass, over all rows, up to which a step may wait for the host (on an H100, a third of the
time at 4,000 tokens)."""

APART = 0.1
"""Relative difference, in the norm, from which a replay is not what was recorded. Other kernels for the same step
may differ by their bfloat16 rounding, of which a whole step has 4 % against float32."""

PATIENCE = 2
"""Steps that are done plainly before one is recorded: the first use of a shape compiles and tunes, which must not
be recorded, and where the membership changes at every step a recording would not be replayed."""


class Recorder:
    """Runs steps, and from the fourth of the same kind on replays them, where that pays.

    The third is done twice, plainly and by its recording; where these differ, nothing is recorded any more.
    """

    def __init__(self, device: torch.device) -> None:
        self._on = device.type == "cuda"
        self._kind: object = None
        self._seen = 0
        self._too_large = False
        self._recording: _Recording | None = None

    def run(self, compute: Compute, kind: object, tokens: int, sample: Tensor, sigma: Tensor) -> Tensor:
        """What `compute(sample, sigma)` gives, valid until the next call.

        Steps are of the same kind if `kind` is the same object; then `compute` must differ in nothing, nor the
        shapes of sample and sigma.
        """
        if not self._on or tokens > MOST_TOKENS:
            return compute(sample, sigma)
        if kind is not self._kind:
            self._kind, self._seen, self._recording, self._too_large = kind, 0, None, False
        self._seen += 1
        if self._seen <= PATIENCE:
            return compute(sample, sigma)
        if self._recording is not None:
            return self._recording.replay(sample, sigma)
        made = compute(sample, sigma)
        if not self._too_large:
            recording = self._recorded(compute, sample, sigma)
            if recording is not None and not _agree(recording.replay(sample, sigma), made):
                self._on, recording = False, None
            self._recording = recording
        return made

    def _recorded(self, compute: Compute, sample: Tensor, sigma: Tensor) -> _Recording | None:
        """A recording; None where there is no memory for it, which it holds beside what plain steps take."""
        try:
            return _Recording(compute, sample, sigma)
        except torch.OutOfMemoryError:
            self._too_large = True
            return None


def _agree(replayed: Tensor, made: Tensor) -> bool:
    """Whether a replay gave what the step itself gave."""
    wanted = made.float()
    return bool((replayed.float() - wanted).norm() <= APART * wanted.norm())


class _Recording:
    """One computation as a CUDA graph."""

    def __init__(self, compute: Compute, sample: Tensor, sigma: Tensor) -> None:
        self._sample, self._sigma = sample.clone(), sigma.clone()
        self._graph = torch.cuda.CUDAGraph()
        present, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(present)
        # Not by torch.cuda.graph, which frees all cached memory first; that takes longer than several small steps
        with torch.cuda.stream(aside):
            self._graph.capture_begin(capture_error_mode="thread_local")
            try:
                self._made = compute(self._sample, self._sigma)
            finally:
                self._graph.capture_end()
        present.wait_stream(aside)

    def replay(self, sample: Tensor, sigma: Tensor) -> Tensor:
        """What the computation makes of these."""
        self._sample.copy_(sample)
        self._sigma.copy_(sigma)
        self._graph.replay()
        return self._made
