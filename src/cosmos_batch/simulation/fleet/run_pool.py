"""The runs of a simulation that have arrived and not ended."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cosmos_batch.planning.equivalence import RunClass, RunClasses
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Priority, ResolvedRun
from cosmos_batch.simulation.records import TraceTimes
from cosmos_batch.simulation.trace import Trace


@dataclass(slots=True)
class TrackedRun:
    """A run that has arrived and not ended."""

    run: ResolvedRun
    place: int  # in the trace
    created: float  # seconds since the beginning of the trace
    breaks_at: int | None  # the denoising step after which it crashes its worker
    done: int = 0  # denoising steps in its checkpoint
    crashes: int = 0  # of workers, while they executed it
    lone_crashes: int = 0  # of these, of workers that executed no other run
    crash_step: int | None = None  # steps that it had done at the last lone crash


class RunPool:
    """Makes runs as they arrive. The record of a run that has ended is used again, so that few exist at a time."""

    def __init__(self, trace: Trace, *, levels: bool) -> None:
        """`levels`: whether priorities count; else all are normal."""
        self._trace = trace
        self._templates = [run if levels else replace(run, priority=Priority.NORMAL) for run in trace.templates]
        self._template = trace.template.tolist()
        self._free: list[list[ResolvedRun]] = [[] for _ in self._templates]
        self._made = 0
        self._tracked: dict[str, TrackedRun] = {}
        self._classes: dict[int, RunClass] = {}
        self._alike: RunClasses | None = None
        self._template_of: dict[str, int] = {}

    def arrive(self, place: int) -> ResolvedRun:
        """Return the run at a place of the trace, which arrives now."""
        template = self._template[place]
        free = self._free[template]
        run = free.pop() if free else self._make(template)
        breaks_at = self._trace.breaks_at.get(place)
        self._tracked[run.id] = TrackedRun(run, place, float(self._trace.at[place]), breaks_at)
        return run

    def _make(self, template: int) -> ResolvedRun:
        self._made += 1
        run = replace(self._templates[template], id=f"run{self._made:07}")
        self._template_of[run.id] = template
        return run

    def tracked(self, run_id: str) -> TrackedRun:
        """Return the record of a run."""
        return self._tracked[run_id]

    def run_class(self, run: ResolvedRun, traits: Traits) -> RunClass:
        """Return the planner's class of a run."""
        template = self._template_of[run.id]
        known = self._classes.get(template)
        if known is None:
            self._alike = self._alike or RunClasses(traits)
            known = self._classes[template] = self._alike.of(run, self._trace.facts)
        return known

    def began(self, place: int, now: float, times: TraceTimes) -> None:
        """Note that a run begins, if it is for the first time."""
        if np.isnan(times.began[place]):
            times.began[place] = now

    def end(self, run: ResolvedRun) -> int:
        """Note that a run has ended; return its place in the trace."""
        self._free[self._template_of[run.id]].append(run)
        return self._tracked.pop(run.id).place
