"""Policies that a simulation compares: each is a setting of the same deciding modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.policies.flush import FlushRules
from cosmos_batch.planning.policies.placement import NO_PATIENCE
from cosmos_batch.planning.traits import Traits

SEED_GROUPS: Mapping[int, int] = {1: 8, 2: 4, 3: 2}
"""Runs of a group by number of controls in the script that cosmos-batch began from; four controls: 1."""


def _same_traits(traits: Traits) -> Traits:
    return traits


def _same_cost(cost: CostModel) -> CostModel:
    return cost


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to run a fleet."""

    name: str
    about: str  # one line for people who choose
    scheduling: SchedulerSettings = field(default_factory=SchedulerSettings)
    traits: Callable[[Traits], Traits] = _same_traits  # of the engine, as this policy uses it
    cost: Callable[[CostModel], CostModel] = _same_cost  # as this policy plans with it
    levels: bool = True  # whether priorities count
    max_runs: int | None = None  # of a batch; None: as many as the planner takes
    foresight: bool = False  # idle devices load the kind of the next run before it arrives


def _strict_groups(traits: Traits) -> Traits:
    """Runs of one set of controls in groups of a fixed size, each group a launch of its own."""
    keys = tuple(dict.fromkeys((*traits.launch_keys, "signature")))
    return replace(traits, launch_keys=keys, ragged=False, steppable=False, max_batch=SEED_GROUPS)


def _unmeasured(cost: CostModel) -> CostModel:
    return replace(cost, knee_tokens=None, memory_bytes=None, measured=0)


def window(seconds: float) -> Policy:
    """The policy of a fixed window: every run waits so long for others, whether a device is idle or not."""
    rules = FlushRules(seconds=seconds, runs=2**31, quiet=float("inf"), at_once=False)
    about = f"runs gather for {seconds:g} s, then they are planned together"
    return Policy(f"window-{seconds:g}", about, SchedulerSettings(rules=rules))


_GROUPS = SchedulerSettings(longest_launch=0.0, placement=NO_PATIENCE)
_IN_ORDER = SchedulerSettings(point_seconds=1e-3, placement=replace(NO_PATIENCE, point_seconds=1e-3))

POLICIES: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy("ours", "as `serve` does"),
        Policy("first-come", "one run a batch, in the order of arrival", _IN_ORDER, levels=False, max_runs=1),
        Policy("strict-groups", "equal controls in groups of 8, 4, 2 and 1", _GROUPS, _strict_groups, _unmeasured),
        window(20.0),
        window(80.0),
        Policy("no-affinity", "ours, whatever the devices hold", SchedulerSettings(placement=NO_PATIENCE)),
        Policy("foresight", "ours with the future known: devices load before a run arrives", foresight=True),
    )
}
"""The policies by name."""
