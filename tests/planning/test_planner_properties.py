"""Properties of every plan, whatever the runs."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from cosmos_batch.engines.inprocess.transfer25.traits import TRANSFER25
from cosmos_batch.engines.nvidia.transfer1.traits import TRANSFER1
from cosmos_batch.engines.registry import profile
from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.batch_size import limit
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.planning.plan import Batch, Plan, plan_to_dict
from cosmos_batch.planning.planner import plan_runs
from cosmos_batch.planning.traits import Traits
from cosmos_batch.run import Control, Priority, Run, Sampling, Signature

FACTS = {
    "/in/a.mp4": VideoInfo(1280, 720, 93, 24),
    "/in/b.mp4": VideoInfo(1280, 720, 200, 24),
    "/in/c.mp4": VideoInfo(480, 640, 93, 30),
}
FEW = settings(deadline=None, max_examples=40)
SETS = [names for count in range(5) for names in combinations(("depth", "edge", "seg", "vis"), count)]


@st.composite
def run_lists(draw: DrawFn, resolution: st.SearchStrategy[str | None]) -> list[Run]:
    """Up to forty runs with settings from few values, so that many are equal in some of them."""
    runs = []
    for index in range(draw(st.integers(0, 40))):
        names = draw(st.sampled_from(SETS[:8]))
        weights = st.sampled_from((0.0, 0.5, 1.0))
        runs.append(
            Run(
                id=f"r{index}",
                prompt="p",
                video=draw(st.sampled_from(("/in/a.mp4", "/in/b.mp4", "/in/c.mp4", "/in/unknown.mp4"))),
                controls=tuple(Control(name=name, weight=draw(weights)) for name in names),
                sampling=Sampling(
                    seed=draw(st.sampled_from((None, 42, 7))),
                    num_steps=draw(st.sampled_from((None, 10))),
                    guidance=draw(st.sampled_from((None, 0.0))),
                    resolution=draw(resolution),
                ),
                priority=draw(st.sampled_from((0, 0, 0, -1, 10, 50, 100, 200))),
                job_type="inference",
            )
        )
    return runs


# The table alone, with no knee and no memory limit; and a device on which batches pay, so that splits gain
TABLE_ONLY = replace(profile("transfer1", "h100"), knee_tokens=None, memory_bytes=None)
BATCHES_PAY = replace(TABLE_ONLY, load=1.0, load_branch=0.0, batch=10.0)
TRANSFER1_COSTS = st.sampled_from((profile("transfer1", "h100"), TABLE_ONLY, BATCHES_PAY))
MEASURED = replace(profile("transfer", "h100"), measured=9, memory_bytes=30 * 2**30)
TRANSFER_COSTS = st.sampled_from((profile("transfer", "h100"), MEASURED))
SMALL = st.sampled_from(("256", "256", "128x64"))
Case = tuple[Traits, CostModel, list[Run]]
CASES: st.SearchStrategy[Case] = st.one_of(
    st.tuples(st.just(TRANSFER1), TRANSFER1_COSTS, run_lists(st.none())),
    st.tuples(st.just(TRANSFER25), TRANSFER_COSTS, run_lists(SMALL)),
)


def planned(case: Case) -> Plan:
    traits, cost, runs = case
    return plan_runs(runs, traits, cost, facts=FACTS)


def batches_of(plan: Plan) -> list[Batch]:
    return [batch for launch in plan.launches for batch in launch.batches]


@given(CASES)
@FEW
def test_every_run_is_planned_once(case: Case) -> None:
    ids = [run.id for batch in batches_of(planned(case)) for run in batch.runs]
    assert Counter(ids) == Counter(run.id for run in case[2])


@given(CASES)
@FEW
def test_launch_loads_only_branches_that_its_runs_use(case: Case) -> None:
    for launch in planned(case).launches:
        assert launch.controls == tuple(sorted({name for run in launch.runs for name in run.signature}))


@given(CASES)
@FEW
def test_batch_does_not_mix_what_its_engine_needs_equal(case: Case) -> None:
    traits, _, _ = case
    for launch in planned(case).launches:
        if traits is TRANSFER1:
            assert (
                len({(run.signature, run.sampling.seed or 42, run.sampling.num_steps) for run in launch.runs}) == 1
            )
        for batch in launch.batches:
            assert {traits.shape(run, FACTS.get(run.video)) for run in batch.runs} == {batch.shape}
            if traits is TRANSFER1:
                assert len({tuple((c.name, c.weight) for c in run.active) for run in batch.runs}) == 1


@given(CASES)
@FEW
def test_batches_are_within_the_bounds(case: Case) -> None:
    traits, cost, _ = case
    for batch in batches_of(planned(case)):
        rows = sum(1 if run.sampling.guidance == 0 else 2 for run in batch.runs)
        if len(batch.runs) > 1:
            assert cost.measured or len(batch.runs) <= limit(len(batch.signature))
            assert cost.knee_tokens is None or rows * traits.tokens(batch.runs[0], batch.shape) <= cost.knee_tokens
            assert cost.memory_bytes is None or batch.bytes <= cost.memory_bytes


@given(CASES)
@FEW
def test_levels_of_priority_follow_each_other_and_share_no_batch(case: Case) -> None:
    levels = [{Priority.level(run.priority) for run in batch.runs} for batch in batches_of(planned(case))]
    assert all(len(batch) == 1 for batch in levels)
    order = [level for batch in levels for level in batch]
    assert order == sorted(order, reverse=True)


@given(CASES)
@FEW
def test_transfer1_cuts_a_launch_into_the_planned_batches(case: Case) -> None:
    if case[0].ragged:
        return
    for launch in planned(case).launches:
        runs, size = launch.runs, launch.batch_size
        cut = tuple(runs[i : i + size] for i in range(0, len(runs), size))
        assert cut == tuple(batch.runs for batch in launch.batches)


def parts_of(plan: Plan) -> Counter[tuple[Signature, Priority, int]]:
    """The number of runs of each level of each launch.

    Which of equal launches is last, and so takes runs of the next level, is a choice between equals, too.
    """
    counts = [(x.controls, Counter(Priority.level(run.priority) for run in x.runs)) for x in plan.launches]
    return Counter((controls, level, runs) for controls, levels in counts for level, runs in levels.items())


@given(CASES, st.randoms(use_true_random=False))
@FEW
def test_order_of_the_runs_decides_only_between_equals(case: Case, rng: random.Random) -> None:
    traits, cost, runs = case
    plan, again = planned(case), planned(case)
    shuffled = plan_runs(rng.sample(runs, len(runs)), traits, cost, facts=dict(reversed(FACTS.items())))
    assert plan_to_dict(plan) == plan_to_dict(again)
    assert parts_of(plan) == parts_of(shuffled)
    assert shuffled.one_by_one_seconds == pytest.approx(plan.one_by_one_seconds)


@given(CASES)
@FEW
def test_predicted_sums_agree(case: Case) -> None:
    plan = planned(case)
    parts = [launch.load_seconds + sum(batch.seconds for batch in launch.batches) for launch in plan.launches]
    assert plan.seconds == pytest.approx(sum(parts))
    assert plan.bytes == max((batch.bytes for batch in batches_of(plan)), default=0)
    assert plan.seconds <= plan.one_by_one_seconds * (1 + 1e-9) <= plan.forced_seconds * (1 + 2e-9)
    assert sum(len(launch["batches"]) for launch in plan_to_dict(plan)["launches"]) == len(batches_of(plan))
