"""Whose turn it is, and who may join or must leave: tables of situations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.planning.batch_size import Load
from cosmos_batch.planning.equivalence import RunClass, lots_of
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.policies.admission import BatchCapacity, Candidate, RunningRun, admit
from cosmos_batch.planning.policies.priority import Rank, order_launches, rank
from cosmos_batch.planning.policies.quarantine import CrashHistory, quarantine_reason
from cosmos_batch.run import Control, Priority, Run, Sampling
from tests.support.dispatch_world import PRIOR, TRAITS


def a_run(run_id: str, controls: str = "edge", resolution: str = "32x32", priority: int = 0) -> Run:
    active = tuple(Control(name=name, weight=1.0, video="/c.mp4") for name in controls.split("+"))  # type: ignore[arg-type]
    sampling = Sampling(resolution=resolution, num_steps=4, num_frames=2)
    return Run(id=run_id, prompt="a street", controls=active, sampling=sampling, priority=priority)


def kind(controls: str = "edge", resolution: str = "32x32") -> RunClass:
    return lots_of([a_run("any", controls, resolution)], TRAITS, {})[0].run_class


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # (priority, came at): whoever has the greater rank is named first
        ((0, 0), (0, 120)),  # who came earlier
        ((10, 120), (0, 0)),  # who matters more
        ((0, 0), (10, 660)),  # unless the other has waited a minute longer for every point
        ((Priority.URGENT, 10**6), (0, 0)),  # urgent always
    ],
)
def test_waiting_counts_like_priority(first: tuple[int, float], second: tuple[int, float]) -> None:
    assert rank(*first, point_seconds=60) > rank(*second, point_seconds=60)


def test_batches_go_by_rank_and_equals_as_planned() -> None:
    runs = [a_run("new1"), a_run("new2"), a_run("old", resolution="48x48"), a_run("urgent", priority=100)]
    came = {"new1": 600.0, "new2": 600.0, "old": 0.0, "urgent": 700.0}
    plan = plan_runs(runs, TRAITS, PRIOR)

    order = order_launches(
        plan, lambda id_: rank(100 if id_ == "urgent" else 0, came[id_]), steps=True, longest=1e9
    )

    assert [[run.id for run in turn.launch.runs] for turn in order] == [["urgent"], ["old"], ["new1", "new2"]]


def test_a_launch_that_nobody_can_join_is_cut_to_a_bearable_length() -> None:
    traits = replace(TRAITS, ragged=False, launch_keys=("signature",), steppable=False)
    plan = plan_runs([a_run(f"r{index:02}") for index in range(40)], traits, PRIOR)
    (launch,) = plan.launches

    parts = order_launches(plan, lambda _: Rank(False, 0), steps=False, longest=2.5 * launch.batches[0].seconds)

    assert [len(part.launch.batches) for part in parts] == [2, 2, 1]
    assert [run.id for part in parts for run in part.launch.runs] == [run.id for run in launch.runs]


LOW, NORMAL, URGENT = Rank(False, -10), Rank(False, 0), Rank(True, 0)


def seat(run_id: str, ranked: Rank = NORMAL, priority: int = 0, left: int = 5) -> RunningRun:
    return RunningRun(run_id, kind(), ranked, priority, left)


def four(_kind: RunClass, load: Load) -> int:
    return 4 - load.runs


CABIN = BatchCapacity(controls=("depth", "edge"), capacity_left=four)
FULL = [seat("a"), seat("b", priority=-5, left=2), seat("c", priority=-5, left=9), seat("d")]


@pytest.mark.parametrize(
    ("aboard", "waiting", "cabin", "join", "aside"),
    [
        # Free places are taken by rank
        ([seat("a"), seat("b")], [Candidate("x", kind(), NORMAL), Candidate("y", kind(), LOW)], CABIN, "xy", ""),
        # ... of those that have loaded branches
        ([seat("a")], [Candidate("x", kind("vis"), NORMAL), Candidate("y", kind(), LOW)], CABIN, "", ""),
        # ... and equal ones do not wait for each other
        ([seat("a")], [Candidate("x", kind("vis"), NORMAL), Candidate("y", kind(), NORMAL)], CABIN, "y", ""),
        # ... up to what was planned
        (FULL, [Candidate("x", kind(), NORMAL)], CABIN, "", ""),
        # An urgent run takes the place of the lowest priority, and of those the one with most steps left
        (FULL, [Candidate("u", kind(), URGENT)], CABIN, "u", "c"),
        # Two take two
        (FULL, [Candidate("u", kind(), URGENT), Candidate("v", kind(), URGENT)], CABIN, "uv", "cb"),
        # Another shape cannot join: everybody makes way
        (FULL, [Candidate("u", kind(resolution="48x48"), URGENT)], CABIN, "", "abcd"),
        # ... but urgent runs do not make way for each other
        (
            [seat("a", URGENT), seat("b")],
            [Candidate("u", kind(resolution="48x48"), URGENT)],
            CABIN,
            "",
            "b",
        ),
        # A run that killed a worker goes alone: nobody joins it, and it joins nobody
        ([seat("a")], [Candidate("x", kind(), NORMAL)], replace(CABIN, closed=True), "", ""),
        ([seat("a")], [Candidate("x", kind(), NORMAL, alone=True), Candidate("y", kind(), LOW)], CABIN, "", ""),
        # A limit that memory taught
        ([seat("a"), seat("b")], [Candidate("x", kind(), NORMAL)], replace(CABIN, max_runs=2), "", ""),
        # An old run of another shape waits: the batch runs out, so that its turn comes
        (
            [seat("a")],
            [Candidate("old", kind(resolution="48x48"), Rank(False, 5)), Candidate("x", kind(), NORMAL)],
            CABIN,
            "",
            "",
        ),
    ],
)
def test_who_joins_and_who_is_set_aside(
    aboard: list[RunningRun], waiting: list[Candidate], cabin: BatchCapacity, join: str, aside: str
) -> None:
    found = admit(aboard, waiting, cabin)

    assert ("".join(found.join), "".join(found.preempt)) == (join, aside)


@pytest.mark.parametrize(
    ("known", "step", "alone", "condemned"),
    [
        # A death beside others proves nothing
        (CrashHistory(0, 0, None), 3, False, False),
        (CrashHistory(5, 0, None), 3, False, False),
        # Nor does one death alone: something else may have killed the worker
        (CrashHistory(1, 0, None), 3, True, False),
        # Twice alone, at the same place: it is the run
        (CrashHistory(2, 1, 3), 3, True, True),
        # Twice alone, but it came further: chance is still possible
        (CrashHistory(2, 1, 3), 7, True, False),
        # Four times alone: enough
        (CrashHistory(4, 3, 3), 7, True, True),
        # While workers die without it, too, twice as many deaths are asked for
        (CrashHistory(2, 1, 3, others=1), 3, True, False),
        (CrashHistory(4, 3, 3, others=9), 7, True, False),
        (CrashHistory(4, 3, 3, others=9), 3, True, True),
        (CrashHistory(8, 7, 3, others=9), 7, True, True),
    ],
)
def test_a_run_is_poison_only_on_evidence(known: CrashHistory, step: int, alone: bool, condemned: bool) -> None:
    assert bool(quarantine_reason(known, step, alone, "killed by SIGSEGV")) is condemned


def test_the_evidence_says_what_happened() -> None:
    found = quarantine_reason(CrashHistory(2, 1, 3), 3, True, "killed by SIGSEGV")

    assert found == (
        "it kills its worker: 3 died with it aboard, 2 of them with it alone, the last two times after step 3 "
        "(killed by SIGSEGV)"
    )
