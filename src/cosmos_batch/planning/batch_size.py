"""How many runs go through the network together: the knee is aimed at, memory bounds it, and the table 8, 4, 2, 2
holds as long as nothing was measured."""

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
    """What a batch holds already."""

    runs: int = 0
    tokens: int = 0  # of its forward pass
    rows: int = 0  # of its forward pass
    signature: frozenset[str] = frozenset()
    alone: bool = False  # it holds a run that goes through the network alone

    def add(self, kind: RunClass, runs: int) -> None:
        """Put so many runs of a kind in."""
        self.runs += runs
        self.tokens += runs * kind.work.row_tokens
        self.rows += runs * kind.work.rows
        self.signature |= frozenset(kind.signature)
        self.alone |= kind.upscale


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """What a device has for a batch, beside the weights, and what a batch takes of it."""

    bytes: float
    token_bytes: float  # of a token in a forward pass
    row_bytes: float  # of a row in a forward pass

    def capacity_left(self, kind: RunClass, load: Load) -> int:
        """How many more runs of a kind fit beside the load; below zero: the load itself does not fit."""
        left = self.bytes - self.token_bytes * load.tokens - self.row_bytes * load.rows
        each = self.token_bytes * kind.work.row_tokens + self.row_bytes * kind.work.rows
        return int(left // each) if each > 0 else _NO_LIMIT


@dataclass(frozen=True, slots=True)
class Sizing:
    """The bounds of a batch in a launch with given control branches."""

    limits: Mapping[int, int] | None  # runs by control count; None: not bounded so
    tokens: int | None  # of a forward pass; None: not bounded
    memory: DeviceMemory | None = None  # None: not bounded
    max_runs: int | None = None  # runs, whatever their controls; None: not bounded

    def capacity_left(self, kind: RunClass, load: Load) -> int:
        """How many more runs of a kind fit beside the load. An empty batch has room for one, always."""
        if load.runs and (kind.upscale or load.alone):
            return 0
        room = self._by_table(kind, load)
        if self.max_runs is not None:
            room = min(room, self.max_runs - load.runs)
        if self.tokens is not None and kind.work.row_tokens:
            room = min(room, (self.tokens - load.tokens) // kind.work.row_tokens)
        if self.memory is not None:
            room = min(room, self.memory.capacity_left(kind, load))
        room = min(room, 1) if kind.upscale else room
        return max(room, 0 if load.runs else 1)

    def _by_table(self, kind: RunClass, load: Load) -> int:
        if self.limits is None:
            return _NO_LIMIT
        return limit(len(load.signature.union(kind.signature)), self.limits) - load.runs


def limit(controls: int, limits: Mapping[int, int] = STATIC_LIMITS) -> int:
    """Runs of a batch by control count: 8, 4, 2, 2 for 1 to 4 controls, and 1 for any other count."""
    return limits.get(controls, 1)


def sizing(traits: Traits, cost: CostModel, branches: Signature) -> Sizing:
    """The bounds of a batch in a launch that loads these branches.

    The table gives way to measurement: it bounds only while no batch was measured on this engine and device, or
    where neither a knee nor a memory limit is known.
    """
    memory = None
    if cost.memory_bytes is not None and cost.token_bytes > 0:
        left = cost.memory_bytes - cost.peak_bytes(0, len(branches))
        memory = DeviceMemory(left, cost.token_bytes, cost.row_bytes)
    bounded = cost.knee_tokens is not None or memory is not None
    limits = None if cost.measured and bounded else traits.max_batch
    return Sizing(limits, cost.knee_tokens, memory, traits.max_runs)
