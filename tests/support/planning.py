"""Runs for the tests of planning, and their classes."""

from __future__ import annotations

from cosmos_batch.planning.equivalence import RunClass, groups_of
from cosmos_batch.planning.plan import Plan
from cosmos_batch.run import Control, ResolvedRun, Run, Sampling
from tests.support.dispatch_world import TRAITS
from tests.support.runs import resolved


def a_run(run_id: str, controls: str = "edge", resolution: str = "32x32", priority: int = 0) -> ResolvedRun:
    """A run of four steps and two frames with the controls, whose names have "+" between them."""
    active = tuple(Control(name=name, weight=1.0, video="/c.mp4") for name in controls.split("+"))  # type: ignore[arg-type]
    sampling = Sampling(resolution=resolution, num_steps=4, num_frames=2)
    return resolved(Run(id=run_id, prompt="a street", controls=active, sampling=sampling, priority=priority))


def class_of(controls: str = "edge", resolution: str = "32x32") -> RunClass:
    """The class of such a run for the simulated engine."""
    return groups_of([a_run("any", controls, resolution)], TRAITS, {})[0].run_class


def sizes(plan: Plan) -> list[list[int]]:
    """The number of runs of each batch, by launch."""
    return [[len(batch.runs) for batch in launch.batches] for launch in plan.launches]
