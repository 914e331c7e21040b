"""Chooses how long a device keeps the kind that it holds, by simulating the runs that came last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.policies.placement import PlacementRules
from cosmos_batch.planning.traits import Traits
from cosmos_batch.simulation.fleet.fleet import Fleet
from cosmos_batch.simulation.policies import Policy
from cosmos_batch.simulation.trace import Trace

PATIENCES = (0.0, 60.0, 300.0)
"""Seconds for which a warm device may be kept, beside those that are set; see `PlacementRules.patience`."""
LEAST_GAIN = 0.005
"""Share of the cost that another patience has to spare, since runs differ from one day to the next."""


def best_patience(
    trace: Trace,
    devices: int,
    engine: tuple[Traits, CostModel],
    rules: PlacementRules,
    candidates: Sequence[float] = PATIENCES,
) -> float:
    """Return the patience with the least time in the system and on devices; as it is where none is better."""

    def cost(patience: float) -> float:
        settings = SchedulerSettings(placement=replace(rules, patience=patience))
        records = Fleet(trace, devices, engine, Policy("", "", settings)).run()
        return float(np.nansum(records.times.ended - trace.at)) + records.totals.busy_seconds

    costs = {patience: cost(patience) for patience in candidates}
    best = min(costs, key=costs.__getitem__)
    return best if costs[best] < (1 - LEAST_GAIN) * cost(rules.patience) else rules.patience
