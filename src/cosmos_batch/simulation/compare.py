"""Simulates a trace under several policies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cosmos_batch.errors import PlanError
from cosmos_batch.formats.close_names import closest
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.traits import Traits
from cosmos_batch.simulation.bounds import lower_bound
from cosmos_batch.simulation.fleet.fleet import Fleet
from cosmos_batch.simulation.policies import POLICIES, Policy
from cosmos_batch.simulation.settings import Machines, SimulationSettings
from cosmos_batch.simulation.summary import Summary, summarise
from cosmos_batch.simulation.trace import Trace


@dataclass(frozen=True, slots=True)
class Scenario:
    """A trace, and what makes its runs."""

    trace: Trace
    traits: Traits  # of the engine
    cost: CostModel
    gpus: int
    machines: Machines


def policies_named(names: Sequence[str]) -> list[Policy]:
    """The policies of these names. Raises PlanError for one that is not known."""
    found = []
    for name in names:
        if name not in POLICIES:
            near = closest(name, tuple(POLICIES))
            hint = f"did you mean {near!r}? " if near else ""
            raise PlanError(f"policy {name!r} is not known; {hint}known are {', '.join(POLICIES)}")
        found.append(POLICIES[name])
    return found


def compare(
    scenario: Scenario, policies: Iterable[Policy], settings: SimulationSettings | None = None
) -> Iterable[Summary]:
    """Yield the summary of the scenario under each policy."""
    bound = lower_bound(scenario.trace, scenario.gpus, scenario.traits, scenario.cost)
    for policy in policies:
        engine = scenario.traits, scenario.cost
        fleet = Fleet(scenario.trace, scenario.gpus, engine, policy, machines=scenario.machines, settings=settings)
        yield summarise(policy.name, scenario.trace, scenario.gpus, bound, fleet.run())
