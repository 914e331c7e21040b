"""Lower bounds on the makespan of a trace: no order and no policy is faster, with times as predicted."""

from __future__ import annotations

import numpy as np

from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.equivalence import RunClasses
from cosmos_batch.planning.traits import Traits
from cosmos_batch.simulation.trace import Trace


def lower_bound(trace: Trace, gpus: int, traits: Traits, cost: CostModel) -> float:
    """Seconds from the beginning of a trace to the end of its last run at least, on so many devices.

    The greatest of three bounds; the first two are those of McNaughton 1959, "Scheduling with deadlines and loss
    functions", applied to the runs that arrive from a time on, none of which can begin before it:

    - For every time t: t, and the work of all runs that arrive from t on, shared evenly by all devices. The work
      of a run is what it adds to a batch. What a batch takes whatever its runs is left out, since a policy may put
      any number of runs together.
    - For every run: its arrival and its own time alone, without a load.
    - The work of all runs and one load of every kind that has runs, shared evenly by all devices.

    Runs that crash their workers are left out, since they end without a video.
    """
    if not len(trace):
        return 0.0
    alike = RunClasses(traits)
    classes = [alike.of(run, trace.facts) for run in trace.templates]
    work = np.array([cost.run_seconds(each.work) for each in classes])[trace.template]
    alone = np.array([cost.overhead_seconds(each.work.steps) for each in classes])[trace.template] + work
    broken = np.fromiter(trace.breaks_at, np.int64, len(trace.breaks_at))
    work[broken] = alone[broken] = 0.0
    later = np.cumsum(work[::-1])[::-1]
    used = {classes[index].launch_key: classes[index] for index in np.unique(trace.template)}
    loads = sum(cost.load_seconds(len(each.signature)) for each in used.values())
    bounds = (trace.at + later / gpus, trace.at + alone, np.array([(float(later[0]) + loads) / gpus]))
    return float(max(bound.max() for bound in bounds))
