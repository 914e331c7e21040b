"""Which runs join a running batch and which are preempted: a table of situations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.planning.batch_size import Load
from cosmos_batch.planning.equivalence import RunClass
from cosmos_batch.planning.policies.admission import BatchCapacity, Candidate, RunningRun, admit
from cosmos_batch.planning.policies.priority import Rank
from cosmos_batch.run import Priority
from tests.support.planning import class_of

LOW, NORMAL, URGENT = (Rank(level, 0) for level in (Priority.LOW, Priority.NORMAL, Priority.URGENT))


def running_run(run_id: str, ranked: Rank = NORMAL, priority: int = 0, left: int = 5) -> RunningRun:
    return RunningRun(run_id, class_of(), ranked, priority, left)


def four(_run_class: RunClass, load: Load) -> int:
    return 4 - load.runs


CAPACITY = BatchCapacity(controls=("depth", "edge"), capacity_left=four)
FULL = [
    running_run("a"),
    running_run("b", priority=-5, left=2),
    running_run("c", priority=-5, left=9),
    running_run("d"),
]


@pytest.mark.parametrize(
    ("running", "waiting", "capacity", "join", "preempt"),
    [
        # Free capacity is taken by rank
        (
            [running_run("a"), running_run("b")],
            [Candidate("x", class_of(), NORMAL), Candidate("y", class_of(), LOW)],
            CAPACITY,
            "xy",
            "",
        ),
        # ... of runs whose branches are loaded
        (
            [running_run("a")],
            [Candidate("x", class_of("vis"), NORMAL), Candidate("y", class_of(), LOW)],
            CAPACITY,
            "",
            "",
        ),
        # ... and runs of equal rank do not wait for each other
        (
            [running_run("a")],
            [Candidate("x", class_of("vis"), NORMAL), Candidate("y", class_of(), NORMAL)],
            CAPACITY,
            "y",
            "",
        ),
        # ... up to the planned batch
        (FULL, [Candidate("x", class_of(), NORMAL)], CAPACITY, "", ""),
        # An urgent run replaces the run of the lowest priority, and of those the one with most steps left
        (FULL, [Candidate("u", class_of(), URGENT)], CAPACITY, "u", "c"),
        # Two urgent runs replace two
        (FULL, [Candidate("u", class_of(), URGENT), Candidate("v", class_of(), URGENT)], CAPACITY, "uv", "cb"),
        # A run of another shape cannot join: the batch makes way
        (FULL, [Candidate("u", class_of(resolution="48x48"), URGENT)], CAPACITY, "", "all"),
        # ... unless it has an urgent run, after which u starts: no run is preempted for nothing
        (
            [running_run("a", URGENT), running_run("b")],
            [Candidate("u", class_of(resolution="48x48"), URGENT)],
            CAPACITY,
            "",
            "",
        ),
        # A run suspected of a crash is alone: no run joins it, and it joins no batch
        ([running_run("a")], [Candidate("x", class_of(), NORMAL)], replace(CAPACITY, closed=True), "", ""),
        (
            [running_run("a")],
            [Candidate("x", class_of(), NORMAL, alone=True), Candidate("y", class_of(), LOW)],
            CAPACITY,
            "",
            "",
        ),
        # A bound after running out of memory
        (
            [running_run("a"), running_run("b")],
            [Candidate("x", class_of(), NORMAL)],
            replace(CAPACITY, max_runs=2),
            "",
            "",
        ),
        # A run of greater rank and another shape waits: no run joins, so that the batch ends sooner
        (
            [running_run("a")],
            [
                Candidate("old", class_of(resolution="48x48"), Rank(Priority.NORMAL, 5)),
                Candidate("x", class_of(), NORMAL),
            ],
            CAPACITY,
            "",
            "",
        ),
    ],
)
def test_runs_that_join_and_runs_that_are_preempted(
    running: list[RunningRun], waiting: list[Candidate], capacity: BatchCapacity, join: str, preempt: str
) -> None:
    found = admit(running, waiting, capacity)

    victims = "".join(run_id for each in found.joins for run_id in each.preempt)
    assert ("".join(each.id for each in found.joins), "all" if found.displace else victims) == (join, preempt)
