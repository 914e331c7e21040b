"""Size of a batch: up to the knee, within memory, and by the table 8, 4, 2, 2 until something is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClass
from cosmos_batch.planning.traits import STATIC_LIMITS, Traits
from cosmos_batch.run import Signature

_NO_LIMIT = 2**31


@dataclass(slots=True)
class Load:
    """The contents of a batch, as far as they bound what else fits."""

    runs: int = 0
    tokens: int = 0  # of its forward pass
    rows: int = 0  # of its forward pass
    signature: frozenset[str] = frozenset()
    alone: bool = False  # it holds a run that is never batched

    def add(self, run_class: RunClass, runs: int) -> None:
        """Add `runs` runs of a class."""
        self.runs += runs
        self.tokens += runs * run_class.work.row_tokens
        self.rows += runs * run_class.work.rows
        self.signature |= frozenset(run_class.signature)
        self.alone |= run_class.upscale


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Memory of a device that a batch may take, beside the weights, and the memory of its parts."""

    bytes: float  # for a batch
    token_bytes: float  # of a token in a forward pass
    row_bytes: float  # of a row in a forward pass

    def capacity_left(self, run_class: RunClass, load: Load) -> int:
        """Number of runs of a class that fit beside the load; below zero: the load itself does not fit."""
        left = self.bytes - self.token_bytes * load.tokens - self.row_bytes * load.rows
        each = self.token_bytes * run_class.work.row_tokens + self.row_bytes * run_class.work.rows
        return int(left // each) if each > 0 else _NO_LIMIT


@dataclass(frozen=True, slots=True)
class Sizing:
    """The bounds of a batch in a launch with given control branches."""

    limits: Mapping[int, int] | None  # runs by control count; None: no such bound
    tokens: int | None  # of a forward pass; None: not bounded
    memory: DeviceMemory | None = None  # None: not bounded
    max_runs: int | None = None  # whatever their controls; None: not bounded

    def capacity_left(self, run_class: RunClass, load: Load) -> int:
        """Number of runs of a class that fit beside the load; at least 1 for an empty load."""
        if load.runs and (run_class.upscale or load.alone):
            return 0
        left = self._by_table(run_class, load)
        if self.max_runs is not None:
            left = min(left, self.max_runs - load.runs)
        if self.tokens is not None and run_class.work.row_tokens:
            left = min(left, (self.tokens - load.tokens) // run_class.work.row_tokens)
        if self.memory is not None:
            left = min(left, self.memory.capacity_left(run_class, load))
        left = min(left, 1) if run_class.upscale else left
        return max(left, 0 if load.runs else 1)

    def _by_table(self, run_class: RunClass, load: Load) -> int:
        if self.limits is None:
            return _NO_LIMIT
        return limit(len(load.signature.union(run_class.signature)), self.limits) - load.runs


def limit(controls: int, limits: Mapping[int, int] = STATIC_LIMITS) -> int:
    """Runs of a batch by control count: 8, 4, 2, 2 for 1 to 4 controls, else 1."""
    return limits.get(controls, 1)


def sizing(traits: Traits, cost: CostModel, branches: Signature) -> Sizing:
    """Bounds of a batch in a launch that loads these branches.

    The table bounds a batch only while no batch was measured on this engine and device, or where neither a knee
    nor a memory limit is known.
    """
    memory = None
    if cost.memory_bytes is not None and cost.token_bytes > 0:
        left = cost.memory_bytes - cost.peak_bytes(0, len(branches))
        memory = DeviceMemory(left, cost.token_bytes, cost.row_bytes)
    bounded = cost.knee_tokens is not None or memory is not None
    limits = None if cost.measured and bounded else traits.max_batch
    return Sizing(limits, cost.knee_tokens, memory, traits.max_runs)
