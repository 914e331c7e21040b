"""Ranks of waiting runs, and the order of planned launches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.policies.priority import Rank, order_launches, rank
from cosmos_batch.run import Priority
from tests.support.dispatch_world import PRIOR, TRAITS
from tests.support.planning import a_run


@pytest.mark.parametrize("level", Priority)
def test_level_begins_at_its_least_priority_and_has_the_number_of_its_name(level: Priority) -> None:
    assert Priority.level(level) is Priority.level(level.least) is level
    assert Priority.level(level.least - 1) is max(
        (each for each in Priority if each < level), default=Priority.LOW
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # (priority, created): the greater rank is first
        ((0, 0), (0, 120)),  # created earlier
        ((20, 120), (10, 0)),  # of higher priority within the level
        ((10, 0), (20, 660)),  # unless the other waited a minute longer for every point
        ((-20, 0), (-10, 660)),
        ((Priority.URGENT, 0), (Priority.URGENT + 10, 660)),
        # Of a higher level, whatever the other waited
        ((Priority.URGENT, 10**9), (Priority.URGENT - 1, 0)),
        ((Priority.HIGH, 10**9), (Priority.NORMAL, 0)),
        ((1, 10**9), (0, 0)),
        ((Priority.NORMAL, 10**9), (Priority.LOW, 0)),
        ((0, 10**9), (-1, 0)),
    ],
)
def test_level_decides_and_waiting_counts_within_it(first: tuple[int, float], second: tuple[int, float]) -> None:
    assert rank(*first, point_seconds=60) > rank(*second, point_seconds=60)


def test_batches_are_ordered_by_rank_and_equals_as_planned() -> None:
    runs = [a_run("new1"), a_run("new2"), a_run("old", resolution="48x48"), a_run("urgent", priority=100)]
    created = {"new1": 600.0, "new2": 600.0, "old": 0.0, "urgent": 700.0}
    plan = plan_runs(runs, TRAITS, PRIOR)

    order = order_launches(
        plan, lambda id_: rank(100 if id_ == "urgent" else 0, created[id_]), steppable=True, max_seconds=1e9
    )

    assert [[run.id for run in part.launch.runs] for part in order] == [["urgent"], ["old"], ["new1", "new2"]]


def test_part_of_a_launch_that_no_run_can_join_has_runs_of_one_level() -> None:
    traits = replace(TRAITS, ragged=False, launch_keys=("signature",), steppable=False)
    priorities = {"low": -10, "high": 10, "now": 100, "normal": 0, "later": -1}
    plan = plan_runs([a_run(run_id, priority=priority) for run_id, priority in priorities.items()], traits, PRIOR)

    parts = order_launches(plan, lambda id_: rank(priorities[id_], 0.0), steppable=False, max_seconds=1e9)

    assert [[run.id for run in part.launch.runs] for part in parts] == [
        ["now"],
        ["high"],
        ["normal"],
        ["later", "low"],
    ]


def test_launch_that_no_run_can_join_is_cut_to_the_longest_length() -> None:
    traits = replace(TRAITS, ragged=False, launch_keys=("signature",), steppable=False)
    plan = plan_runs([a_run(f"r{index:02}") for index in range(40)], traits, PRIOR)
    (launch,) = plan.launches

    parts = order_launches(
        plan, lambda _: Rank(Priority.NORMAL, 0), steppable=False, max_seconds=2.5 * launch.batches[0].seconds
    )

    assert [len(part.launch.batches) for part in parts] == [2, 2, 1]
    assert [run.id for part in parts for run in part.launch.runs] == [run.id for run in launch.runs]
