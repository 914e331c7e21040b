"""The runs of a simulation that have arrived and not ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cosmos_batch.planning.equivalence import RunClass, RunClasses
from cosmos_batch.planning.traits import Traits, VideoInfo
from cosmos_batch.run import Priority, ResolvedRun, Run
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
    begun: bool = False  # whether it has been on a device
    lone_crashes: int = 0  # of these, of workers that executed no other run
    crash_step: int | None = None  # steps that it had done at the last lone crash


class RunPool:
    """Makes runs as they arrive. The record of a run that has ended is used again, so that few exist at a time."""

    def __init__(self, trace: Trace, traits: Traits, *, levels: bool) -> None:
        """`levels`: whether priorities count; else all are normal."""
        self._trace = trace
        self._templates = [run if levels else replace(run, priority=Priority.NORMAL) for run in trace.templates]
        self._template = trace.template.tolist()
        self._at = trace.at.tolist()
        self._free: list[list[ResolvedRun]] = [[] for _ in self._templates]
        self._made = 0
        self._tracked: dict[str, TrackedRun] = {}
        classes = RunClasses(traits)
        self._classes = [classes.of(run, trace.facts) for run in self._templates]
        self._template_of: dict[str, int] = {}

    def arrive(self, place: int) -> TrackedRun:
        """Return the record of the run at a place of the trace, which arrives now."""
        template = self._template[place]
        free = self._free[template]
        run = free.pop() if free else self._make(template)
        breaks_at = self._trace.breaks_at.get(place)
        tracked = self._tracked[run.id] = TrackedRun(run, place, self._at[place], breaks_at)
        return tracked

    def _make(self, template: int) -> ResolvedRun:
        self._made += 1
        run = replace(self._templates[template], id=f"run{self._made:07}")
        self._template_of[run.id] = template
        return run

    def tracked(self, run_id: str) -> TrackedRun:
        """Return the record of a run."""
        return self._tracked[run_id]

    def run_class(self, run: Run) -> RunClass:
        """Return the planner's class of a run."""
        return self._classes[self._template_of[run.id]]

    def of(self, run: Run, facts: Mapping[str, VideoInfo]) -> RunClass:  # noqa: ARG002 - the protocol's name
        """Return the planner's class of a run; the videos of a trace are known."""
        return self._classes[self._template_of[run.id]]

    def end(self, run: ResolvedRun) -> int:
        """Note that a run has ended; return its place in the trace."""
        self._free[self._template_of[run.id]].append(run)
        return self._tracked.pop(run.id).place
