"""Which launch a device begins next: loads in seconds against the time that launches have waited."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.planning.plan import Batch, Kind, Launch
from cosmos_batch.planning.policies.launch_queue import LaunchQueue
from cosmos_batch.planning.policies.placement import (
    NO_PATIENCE,
    Device,
    PlacementRules,
    left_to,
    switch_seconds,
)
from cosmos_batch.planning.policies.priority import PlannedLaunch, Rank
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Priority
from tests.support.dispatch_world import PRIOR

COST = replace(PRIOR, load=110.0, load_branch=10.0)  # 120 s for a model with one branch
EDGE, VIS, BOTH = Kind(("a",), ("edge",)), Kind(("a",), ("vis",)), Kind(("a",), ("edge", "vis"))
OTHER = Kind(("b",), ("edge",))


def waiting(
    kind: Kind, minutes: int, *, level: Priority = Priority.NORMAL, seconds: float = 60.0
) -> PlannedLaunch:
    """A launch that has waited for so many minutes."""
    batch = Batch((), Shape(32, 32, 2), seconds, 0)
    return PlannedLaunch(Rank(level, minutes), Launch(0, kind.controls, (batch,), 0.0, "", kind.key))


def picked(loaded: Kind | None, *launches: PlannedLaunch, rules: PlacementRules | None = None) -> Kind:
    """The kind of the launch that begins next."""
    return Device(rules or PlacementRules(), COST, loaded).pick(LaunchQueue(launches), ())[3].launch.kind


@pytest.mark.parametrize(
    ("loaded", "wanted", "seconds"),
    [
        (None, EDGE, 120.0),
        (EDGE, EDGE, 0.0),
        (EDGE, BOTH, 10.0),  # a branch of the same model
        (BOTH, EDGE, 0.0),
        (EDGE, VIS, 10.0),
        (EDGE, OTHER, 120.0),  # another model
    ],
)
def test_seconds_of_a_switch_are_those_of_what_is_not_held(
    loaded: Kind | None, wanted: Kind, seconds: float
) -> None:
    assert switch_seconds(loaded, wanted, COST) == seconds


@pytest.mark.parametrize(
    ("loaded", "minutes", "expected"),
    [
        (EDGE, 9, EDGE),  # the other has waited 9 minutes longer
        (EDGE, 11, OTHER),  # it has waited more than 10 minutes longer
        (OTHER, 1, OTHER),
        (None, 1, OTHER),  # every launch loads: in order
    ],
)
def test_a_device_keeps_its_kind_unless_another_has_waited_ten_minutes_longer(
    loaded: Kind | None, minutes: int, expected: Kind
) -> None:
    assert picked(loaded, waiting(EDGE, 5), waiting(OTHER, 5 + minutes)) == expected


def test_a_load_of_a_branch_outweighs_less_waiting_than_one_of_a_model() -> None:
    assert picked(EDGE, waiting(EDGE, 0), waiting(VIS, 1)) == VIS  # 10 s count for 50 s
    assert picked(EDGE, waiting(VIS, 0), waiting(OTHER, 5)) == VIS
    assert picked(EDGE, waiting(VIS, 0), waiting(OTHER, 10)) == OTHER


def test_a_higher_level_is_first_whatever_it_loads() -> None:
    assert picked(EDGE, waiting(EDGE, 99), waiting(OTHER, 0, level=Priority.HIGH)) == OTHER


def test_without_patience_launches_begin_in_order() -> None:
    assert picked(EDGE, waiting(EDGE, 0), waiting(OTHER, 1), rules=NO_PATIENCE) == OTHER


def test_near_the_end_loads_count_as_seconds_of_the_launch() -> None:
    """Another device is busy for 100 s. To begin the launch that needs a load here ends later than to leave it."""
    queue = LaunchQueue([waiting(OTHER, 0, seconds=200.0), waiting(EDGE, 0, seconds=190.0)])
    assert Device(PlacementRules(), COST, EDGE).pick(queue, [10.0])[3].launch.kind == EDGE
    assert Device(PlacementRules(), COST, OTHER).pick(queue, [10.0])[3].launch.kind == OTHER


@pytest.mark.parametrize(
    ("idle", "loaded", "left"),
    [
        ({}, None, False),
        ({EDGE.label: 1}, OTHER, True),  # another holds the kind
        ({EDGE.label: 1}, EDGE, False),  # so does this one
        ({"": 1}, OTHER, True),  # another holds nothing, so that nothing is lost there
        ({"": 1}, None, False),
        ({VIS.label: 1}, OTHER, False),
    ],
)
def test_a_launch_is_left_to_an_idle_device_that_is_readier(
    idle: dict[str, int], loaded: Kind | None, left: bool
) -> None:
    assert left_to(idle, loaded, EDGE) is left
