"""What a simulation records: of every run its times, of the fleet its state over time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

POINTS = 240  # of the timeline at least, until it is coarsened to half of them


@dataclass(slots=True)
class TraceTimes:
    """Times of all runs of a trace, in seconds since its beginning; not a number where something never was."""

    began: NDArray[np.float64]  # when a run was first on a device
    ended: NDArray[np.float64]
    failed: NDArray[np.bool_]  # whether a run ended without a video

    @classmethod
    def of(cls, runs: int) -> TraceTimes:
        """Times of so many runs, none of which has begun."""
        return cls(np.full(runs, np.nan), np.full(runs, np.nan), np.zeros(runs, np.bool_))


@dataclass(slots=True)
class Totals:
    """Sums over a simulation."""

    busy_seconds: float = 0.0  # of all devices, loads included
    load_seconds: float = 0.0
    loads: int = 0  # of models or branches
    batches: int = 0
    joins: int = 0  # runs that joined a running batch
    preemptions: int = 0
    crashes: int = 0  # of workers, by runs
    machine_failures: int = 0
    reclaims: int = 0
    lost_steps: int = 0  # denoising steps that were done again
    quarantined: int = 0
    refused: int = 0  # runs that the engine cannot make


@dataclass(slots=True)
class Timeline:
    """Waiting runs, busy devices and loads so far, at equal distances in time."""

    every: float  # seconds between two points
    waiting: list[int] = field(default_factory=list)
    busy: list[int] = field(default_factory=list)
    loads: list[int] = field(default_factory=list)

    @property
    def due(self) -> float:
        """When the next point is due."""
        return len(self.waiting) * self.every

    def add(self, until: float, waiting: int, busy: int, loads: int) -> None:
        """Add the points that are due until a time; all of them have these values."""
        while self.due <= until:
            self.waiting.append(waiting)
            self.busy.append(busy)
            self.loads.append(loads)
            if len(self.waiting) >= 2 * POINTS:
                self._coarsen()

    def _coarsen(self) -> None:
        self.every *= 2
        for values in (self.waiting, self.busy, self.loads):
            del values[1::2]


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch that a worker began, or runs that joined one."""

    at: float
    worker: int
    runs: tuple[int, ...]  # their places in the trace
    joined: bool  # a batch that was running


@dataclass(slots=True)
class Records:
    """All records of a simulation."""

    times: TraceTimes
    timeline: Timeline
    totals: Totals = field(default_factory=Totals)
    batches: list[BatchRecord] | None = None  # None: not kept
