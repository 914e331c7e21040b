"""The coming hours of a queue: its runs alone, simulated on the devices that it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.planning.traits import Traits, VideoInfo
from cosmos_batch.run import ResolvedRun
from cosmos_batch.simulation.fleet.fleet import Fleet
from cosmos_batch.simulation.policies import Policy
from cosmos_batch.simulation.settings import SimulationSettings
from cosmos_batch.simulation.trace import Arrival, trace_of

POINTS = 24  # of a picture
_SHARED = SimulationSettings(own_plans=0)  # one plan for all devices, which takes a fraction of the time


@dataclass(frozen=True, slots=True)
class Outlook:
    """When runs begin and end if no other comes, in seconds from now."""

    begins: tuple[float, ...]  # of each run, in the order given
    ends: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """Seconds until all have ended; 0 for no runs."""
        return max(self.ends, default=0.0)

    @property
    def every(self) -> float:
        """Seconds between two points of the picture."""
        return self.seconds / POINTS

    @property
    def waiting(self) -> list[int]:
        """How many runs have not begun, at each point."""
        return [sum(begin > point * self.every for begin in self.begins) for point in range(POINTS)]

    @property
    def running(self) -> list[int]:
        """How many runs have begun and not ended, at each point."""
        left = [sum(end > point * self.every for end in self.ends) for point in range(POINTS)]
        return [here - waiting for here, waiting in zip(left, self.waiting, strict=True)]


def outlook(
    runs: Sequence[ResolvedRun],
    facts: Mapping[str, VideoInfo],
    devices: int,
    engine: tuple[Traits, CostModel],
    rules: FlushRules,
    running: int = 0,
) -> Outlook:
    """Simulate runs, the first `running` of which are being made, as a service of so many devices makes them.

    `engine`: its traits and its costs, taken as exact; `rules`: by which runs wait for others.
    """
    traits, cost = engine
    trace = trace_of((Arrival(0.0, run) for run in runs), facts)
    policy = Policy("outlook", "as `serve` does", SchedulerSettings(rules=rules))
    fleet = Fleet(trace, devices, (traits, replace(cost, error=None)), policy, settings=_SHARED)
    times = fleet.run().times
    ends = np.nan_to_num(times.ended)
    begins = np.where(np.isnan(times.began), ends, times.began)
    begins[:running] = 0.0
    return Outlook(tuple(begins.tolist()), tuple(ends.tolist()))


def what_is_left(run: ResolvedRun, step: int, steps: int) -> ResolvedRun:
    """Return a run with the denoising steps that are left, after `step` of `steps`."""
    wanted = run.sampling.num_steps
    if wanted is None or not 0 < step < steps:
        return run
    left = max(1, round(wanted * (steps - step) / steps))
    return replace(run, sampling=replace(run.sampling, num_steps=left))
