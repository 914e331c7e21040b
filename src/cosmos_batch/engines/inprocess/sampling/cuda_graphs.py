"""Small steps as CUDA graphs.

A step of few tokens ends before the host has launched its two thousand kernels one by one. Recorded once and
replayed, they take one launch. A step of many tokens gains nothing, and its recording would hold memory.

A recording reads everything from memory of its own, so it serves every batch whose layout has the same structure:
a run that takes the place of one that has left costs a copy.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, Protocol, TypeVar
from weakref import ref

import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.sampling.step_inputs import StepInputs

Inputs = TypeVar("Inputs", bound=StepInputs)

Pool = Any
"""Memory of recordings, as PyTorch names it; its type has no public name."""

MAX_TOKENS = 20_000
"""Tokens of a forward pass, over all rows, up to which a step may wait for the host (on an H100, a third of the
time at 4,000 tokens). With more, the device waits for the recording longer than it ever would for the host."""

MAX_DIFFERENCE = 0.1
"""Relative difference, in the norm, from which a replay does not match the step that was recorded. Other kernels
for the same step may differ by their bfloat16 rounding, of which a whole step has 4 % against float32."""

WARMUP_STEPS = 2
"""Steps that are executed plainly before one is recorded: the first use of a shape compiles and tunes, which must
not be recorded, and where the membership changes at every step a recording would not be replayed."""

MAX_BYTES = 2 << 30
"""What recordings may hold of layouts, beside that of the last one."""

_COUNTED = 256
"""Structures of steps for which the number of executions is kept."""


class Replay(Protocol):
    """A captured computation; `torch.cuda.CUDAGraph` is one."""

    def replay(self) -> None:
        """Execute it once more, from and to the memory that it was captured with."""

    def pool(self) -> Pool:
        """The memory pool that it was captured in."""


class Capture(Protocol):
    """Captures a computation."""

    def __call__(self, compute: Callable[[], Tensor], pool: Pool | None) -> tuple[Replay, Tensor]:
        """Give the captured computation, and where its result is after every replay."""


def capture_graph(compute: Callable[[], Tensor], pool: Pool | None) -> tuple[Replay, Tensor]:
    """Capture a computation as a CUDA graph; its result is in the tensor after every replay.

    It shares the memory of others with the same pool, so that replaying one of them overwrites the result.
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


class GraphCache(Generic[Inputs]):
    """Executes steps, and from the third of equal structure on replays them, where that pays.

    The first recording of all is compared with the step itself; where they differ, nothing is recorded on this
    machine.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        capture: Capture = capture_graph,
        max_tokens: int = MAX_TOKENS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """Start without recordings.

        Args:
            device: where steps are computed; on the CPU nothing is recorded.
            capture: captures a step.
            max_tokens: tokens of a forward pass up to which steps are recorded.
            max_bytes: what recordings may hold of layouts, beside that of the last one.
        """
        self._enabled = device.type == "cuda"
        self._capture = capture
        self._max_tokens = max_tokens
        self._max_bytes = max_bytes
        self._verified = False
        self._executions: OrderedDict[Hashable, int] = OrderedDict()  # by structure
        self._recordings: OrderedDict[Hashable, _Recording[Inputs]] = OrderedDict()
        self._pool: Pool | None = None

    def __len__(self) -> int:
        """Recordings that are kept."""
        return len(self._recordings)

    def run(
        self, compute: Callable[[Inputs, Tensor, Tensor], Tensor], layout: Inputs, sample: Tensor, sigma: Tensor
    ) -> Tensor:
        """The result of `compute(layout, sample, sigma)`, valid until the next call.

        Of `layout`, `compute` may depend on the structure and the values of the tensors alone, and on nothing else
        that changes from call to call.
        """
        if not self._enabled:
            return compute(layout, sample, sigma)
        if layout.row_tokens > self._max_tokens:
            self.forget()  # a large step needs the memory, and usually more large ones follow
            return compute(layout, sample, sigma)
        structure = layout.structure
        recording = self._recordings.get(structure) or self._record(structure, compute, layout, sample, sigma)
        if recording is None:
            return self._execute(compute, layout, sample, sigma)
        self._recordings.move_to_end(structure)
        return recording.replay(layout, sample, sigma)

    def forget(self) -> None:
        """Free all recordings. Steps that are executed again are recorded again."""
        self._recordings.clear()
        self._executions.clear()
        self._pool = None

    def _record(
        self,
        structure: Hashable,
        compute: Callable[[Inputs, Tensor, Tensor], Tensor],
        layout: Inputs,
        sample: Tensor,
        sigma: Tensor,
    ) -> _Recording[Inputs] | None:
        """A new recording; None: it is too early, memory does not suffice, or recordings are not right here."""
        self._executions[structure] = count = self._executions.pop(structure, 0) + 1
        if len(self._executions) > _COUNTED:
            self._executions.popitem(last=False)
        if count != WARMUP_STEPS + 1:
            return None
        try:
            recording = _Recording(self._capture, compute, layout, sample, sigma, self._pool)
            self._pool = recording.pool
            if not self._verified:
                self._verify(recording.replay(layout, sample, sigma), compute(layout, sample, sigma))
        except torch.OutOfMemoryError:
            return None
        if not self._enabled:
            return None
        self._evict()
        self._recordings[structure] = recording
        return recording

    def _verify(self, replayed: Tensor, made: Tensor) -> None:
        """Record no more if a replay did not give what the step itself gave."""
        wanted = made.float()
        self._enabled = bool((replayed.float() - wanted).norm() <= MAX_DIFFERENCE * wanted.norm())
        self._verified = self._enabled

    def _evict(self) -> None:
        while self._recordings and sum(each.bytes for each in self._recordings.values()) > self._max_bytes:
            structure, _ = self._recordings.popitem(last=False)
            self._executions.pop(structure, None)  # so that it is recorded again when it comes back

    def _execute(
        self, compute: Callable[[Inputs, Tensor, Tensor], Tensor], layout: Inputs, sample: Tensor, sigma: Tensor
    ) -> Tensor:
        """Execute the step itself; where memory does not suffice, without the recordings."""
        try:
            return compute(layout, sample, sigma)
        except torch.OutOfMemoryError:
            if not self._recordings:
                raise
        self.forget()
        torch.cuda.empty_cache()
        return compute(layout, sample, sigma)


class _Recording(Generic[Inputs]):
    """One computation, with the memory that it reads from."""

    def __init__(
        self,
        capture: Capture,
        compute: Callable[[Inputs, Tensor, Tensor], Tensor],
        layout: Inputs,
        sample: Tensor,
        sigma: Tensor,
        pool: Pool | None,
    ) -> None:
        self._layout, self._source = layout.clone(), ref(layout)
        self._sample, self._sigma = sample.clone(), sigma.clone()
        self.bytes = sum(part.nelement() * part.element_size() for part in self._layout.tensors)
        self._graph, self._made = capture(lambda: compute(self._layout, self._sample, self._sigma), pool)
        self.pool = self._graph.pool()

    def replay(self, layout: Inputs, sample: Tensor, sigma: Tensor) -> Tensor:
        """The result of the computation for these inputs."""
        if layout is not self._source():
            for mine, given in zip(self._layout.tensors, layout.tensors, strict=True):
                mine.copy_(given)
            self._source = ref(layout)
        self._sample.copy_(sample)
        self._sigma.copy_(sigma)
        self._graph.replay()
        return self._made
