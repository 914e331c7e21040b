"""Small steps as CUDA graphs.

A step of few tokens is over before the host has launched its two thousand kernels one by one. Recorded once and
replayed, they take one launch. A step of many tokens gains nothing, and its recording would hold memory.

A recording reads everything from memory of its own, so it serves every batch that is laid out alike: a video that
takes the place of one that has left costs a copy.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol
from weakref import ref

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.transfer25.batch_layout import Layout

Compute = Callable[[Layout, Tensor, Tensor], Tensor]

Pool = Any
"""Memory of recordings, as PyTorch names it; its type has no public name."""

MOST_TOKENS = 40_000
"""Tokens of a forward pass, over all rows, up to which a step may wait for the host (on an H100, a third of the
time at 4,000 tokens)."""

APART = 0.1
"""Relative difference, in the norm, from which a replay is not what was recorded. Other kernels for the same step
may differ by their bfloat16 rounding, of which a whole step has 4 % against float32."""

PATIENCE = 2
"""Steps that are done plainly before one is recorded: the first use of a shape compiles and tunes, which must not
be recorded, and where the membership changes at every step a recording would not be replayed."""

KEPT_BYTES = 2 << 30
"""What recordings may hold of layouts, beside that of the last one."""

_KINDS = 256
"""Kinds of steps of which is known how often they were done."""


class GraphCache:
    """Runs steps, and from the third of the same kind on replays them, where that pays.

    Steps are of the same kind if their layouts have the same structure. The first recording of all is compared
    with the step itself; where they differ, nothing is recorded on this machine.
    """

    def __init__(self, device: torch.device) -> None:
        self._on = device.type == "cuda"
        self._proven = False
        self._seen: OrderedDict[Hashable, int] = OrderedDict()
        self._kept: OrderedDict[Hashable, _Recording] = OrderedDict()
        self._pool: Pool | None = None

    def run(self, compute: Compute, layout: Layout, sample: Tensor, sigma: Tensor) -> Tensor:
        """What `compute(layout, sample, sigma)` gives, valid until the next call.

        Of `layout`, `compute` may depend on the structure and the values of the tensors alone, and on nothing else
        that changes from call to call.
        """
        if not self._on:
            return compute(layout, sample, sigma)
        if layout.row_tokens > MOST_TOKENS:
            self.forget()  # a large step needs the memory, and whoever takes such steps takes many
            return compute(layout, sample, sigma)
        kind = layout.structure
        recording = self._kept.get(kind) or self._recorded(kind, compute, layout, sample, sigma)
        if recording is None:
            return self._plainly(compute, layout, sample, sigma)
        self._kept.move_to_end(kind)
        return recording.replay(layout, sample, sigma)

    def _recorded(
        self, kind: Hashable, compute: Compute, layout: Layout, sample: Tensor, sigma: Tensor
    ) -> _Recording | None:
        """A new recording; None: it is too early, there is no memory for it, or recordings are not right here."""
        self._seen[kind] = seen = self._seen.pop(kind, 0) + 1
        if len(self._seen) > _KINDS:
            self._seen.popitem(last=False)
        if seen != PATIENCE + 1:
            return None
        try:
            recording = _Recording(compute, layout, sample, sigma, self._pool)
            self._pool = recording.pool
            if not self._proven:
                self._prove(recording.replay(layout, sample, sigma), compute(layout, sample, sigma))
        except torch.OutOfMemoryError:
            return None
        if not self._on:
            return None
        self._make_room()
        self._kept[kind] = recording
        return recording

    def _prove(self, replayed: Tensor, made: Tensor) -> None:
        """Record no more if a replay did not give what the step itself gave."""
        wanted = made.float()
        self._on = bool((replayed.float() - wanted).norm() <= APART * wanted.norm())
        self._proven = self._on

    def _make_room(self) -> None:
        while self._kept and sum(recording.bytes for recording in self._kept.values()) > KEPT_BYTES:
            kind, _ = self._kept.popitem(last=False)
            self._seen.pop(kind, None)  # should it come again, it is recorded again

    def _plainly(self, compute: Compute, layout: Layout, sample: Tensor, sigma: Tensor) -> Tensor:
        """The step itself; where memory does not suffice, without the recordings."""
        try:
            return compute(layout, sample, sigma)
        except torch.OutOfMemoryError:
            if not self._kept:
                raise
        self.forget()
        torch.cuda.empty_cache()
        return compute(layout, sample, sigma)

    def forget(self) -> None:
        """Free all recordings. What is done again is recorded again."""
        self._kept.clear()
        self._seen.clear()
        self._pool = None


class Replay(Protocol):
    """A captured computation; `torch.cuda.CUDAGraph` is one."""

    def replay(self) -> None:
        """Do it once more, from and to the memory that it was captured with."""

    def pool(self) -> Pool:
        """Where that memory is."""


def captured(compute: Callable[[], Tensor], pool: Pool | None) -> tuple[Replay, Tensor]:
    """A computation as a CUDA graph, and where its result will be after every replay.

    It shares the memory of others whose pool this is, so that replaying one of them overwrites the result.
    """
    graph = torch.cuda.CUDAGraph()
    present, aside = torch.cuda.current_stream(), torch.cuda.Stream()
    aside.wait_stream(present)
    # Not by torch.cuda.graph, which frees all cached memory first; that takes longer than several small steps
    with torch.cuda.stream(aside):
        graph.capture_begin(pool, capture_error_mode="thread_local")
        try:
            made = compute()
        finally:
            graph.capture_end()
    present.wait_stream(aside)
    return graph, made


class _Recording:
    """One computation, with the memory that it reads from."""

    def __init__(self, compute: Compute, layout: Layout, sample: Tensor, sigma: Tensor, pool: Pool | None) -> None:
        self._layout, self._holds = layout.clone(), ref(layout)
        self._sample, self._sigma = sample.clone(), sigma.clone()
        self.bytes = sum(part.nelement() * part.element_size() for part in self._layout.tensors)
        self._graph, self._made = captured(lambda: compute(self._layout, self._sample, self._sigma), pool)
        self.pool = self._graph.pool()

    def replay(self, layout: Layout, sample: Tensor, sigma: Tensor) -> Tensor:
        """What the computation makes of these."""
        if layout is not self._holds():
            for mine, given in zip(self._layout.tensors, layout.tensors, strict=True):
                mine.copy_(given)
            self._holds = ref(layout)
        self._sample.copy_(sample)
        self._sigma.copy_(sigma)
        self._graph.replay()
        return self._made
