"""A simulated fleet: every run has one outcome, whatever fails, and it decides as a service does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_batch.engines.inprocess.transfer25.profile import PROFILE
from cosmos_batch.engines.inprocess.transfer25.traits import TRANSFER25
from cosmos_batch.run import Priority
from cosmos_batch.simulation.bounds import lower_bound
from cosmos_batch.simulation.fleet.fleet import Fleet
from cosmos_batch.simulation.params import Params, generate
from cosmos_batch.simulation.policies import POLICIES, Policy
from cosmos_batch.simulation.records import Records
from cosmos_batch.simulation.settings import Machines, SimulationSettings
from cosmos_batch.simulation.summary import summarise

COST = PROFILE.cost
SHARED = SimulationSettings(own_plans=0)


def simulated(
    params: Params,
    gpus: int,
    policy: str = "ours",
    machines: Machines | None = None,
    simulation: SimulationSettings | None = None,
) -> tuple[Fleet, Records]:
    """A fleet, and what it recorded."""
    made = generate(params, TRANSFER25, COST)
    engine = made.traits, made.cost
    fleet = Fleet(
        made.trace,
        gpus,
        engine,
        POLICIES[policy],
        machines=machines or made.machines,
        settings=simulation,
        keep_batches=True,
    )
    return fleet, fleet.run()


def check(params: Params, records: Records) -> None:
    """Every run has one outcome; none begins before it arrives, or ends before it begins."""
    trace = generate(params, TRANSFER25, COST).trace
    times = records.times
    assert not np.isnan(times.ended).any()
    begun = ~np.isnan(times.began)
    assert begun[~times.failed].all()
    assert (times.began[begun] >= trace.at[begun]).all()
    assert (times.ended[begun] >= times.began[begun]).all()
    assert times.failed.sum() == records.totals.quarantined + records.totals.refused
    assert records.batches is not None
    starts = Counter(place for batch in records.batches for place in batch.runs)
    assert set(starts) == set(np.flatnonzero(begun).tolist())
    again = sum(starts.values()) - len(starts)
    troubles = records.totals.preemptions + records.totals.crashes * 8
    if not (records.totals.machine_failures or records.totals.reclaims):
        assert again <= troubles  # no run is denoised twice without a reason


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    runs=st.integers(1, 40),
    span=st.sampled_from([1.0, 300.0, 5000.0]),
    gpus=st.integers(1, 9),
    policy=st.sampled_from(list(POLICIES)),
    shares=st.tuples(st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.2]), st.sampled_from([0.0, 0.2])),
    hours=st.sampled_from([None, 0.1]),
    shared=st.booleans(),
    seed=st.integers(0, 9),
)
def test_every_run_has_one_outcome_whatever_fails(
    runs: int,
    span: float,
    gpus: int,
    policy: str,
    shares: tuple[float, float, float],
    hours: float | None,
    shared: bool,
    seed: int,
) -> None:
    urgent, low, poison = shares
    params = Params(
        runs=runs, seconds=span, urgent=urgent, low=low, poison=poison, kinds=6, seed=seed, burst=3.0, owners=2
    )
    machines = Machines(
        gpus_each=2, failure_hours=hours, spot_share=0.5, reclaim_hours=0.2, repair=60.0, away=60.0
    )
    simulation = SimulationSettings(own_plans=0 if shared else 32, seed=seed)
    _, records = simulated(params, gpus, policy, machines, simulation)
    check(params, records)


@pytest.mark.parametrize("shared", [True, False])
def test_a_run_begins_at_once_on_an_idle_device(shared: bool) -> None:
    params = Params(runs=1, kinds=1, seconds=10.0, run_seconds=50.0, load_seconds=20.0)
    _, records = simulated(params, 2, simulation=SimulationSettings(own_plans=0 if shared else 32))
    trace = generate(params, TRANSFER25, COST).trace
    # a load of 20 s, then 50 s of denoising; an idle worker looks at the queue every 0.1 s
    assert records.times.ended[0] - trace.at[0] == pytest.approx(70.0, abs=0.11)
    assert records.totals.loads == 1


def test_devices_keep_their_kinds_where_first_come_loads_for_nearly_every_run() -> None:
    params = Params(runs=600, seconds=9_000.0, kinds=4, run_seconds=600.0, load_seconds=120.0, zipf=0.0)
    loads = {name: simulated(params, 40, name)[1].totals.loads for name in ("ours", "no-affinity")}
    assert loads["ours"] < 150 < 300 < loads["no-affinity"]


def test_an_urgent_run_waits_for_a_step_and_one_run_makes_way() -> None:
    params = Params(runs=400, seconds=100.0, kinds=1, urgent=0.02, run_seconds=350.0, seed=3)
    for simulation in (SHARED, SimulationSettings()):
        _, records = simulated(params, 20, simulation=simulation)
        trace = generate(params, TRANSFER25, COST).trace
        urgent = trace.priorities >= Priority.URGENT
        late = urgent & (trace.at > 50.0)  # every device is busy
        waits = (records.times.began - trace.at)[late]
        assert late.any()
        assert waits.max() <= 10.1  # a step takes 10 s
        assert late.sum() <= records.totals.preemptions <= urgent.sum()  # one for each at most


def test_a_poisoned_run_is_quarantined_alone_and_all_others_are_made() -> None:
    params = Params(runs=30, seconds=10.0, kinds=1, poison=0.05, seed=1, resolution="256x256")
    _, records = simulated(params, 2)
    poisoned = generate(params, TRANSFER25, COST).trace.breaks_at
    assert poisoned
    assert set(np.flatnonzero(records.times.failed).tolist()) == set(poisoned)


def test_a_reclaim_with_notice_loses_no_step_and_a_failure_loses_some() -> None:
    params = Params(runs=40, seconds=10.0, kinds=1, run_seconds=70.0)
    often = {"gpus_each": 1, "repair": 60.0, "away": 60.0}
    _, reclaimed = simulated(params, 4, machines=Machines(spot_share=1.0, reclaim_hours=0.02, **often))  # type: ignore[arg-type]
    _, failed = simulated(params, 4, machines=Machines(failure_hours=0.02, **often))  # type: ignore[arg-type]
    assert reclaimed.totals.reclaims
    assert failed.totals.machine_failures
    assert reclaimed.totals.lost_steps == 0 < failed.totals.lost_steps


def test_times_deviate_by_the_error_that_the_costs_state() -> None:
    made = generate(Params(runs=300, seconds=1.0, kinds=1, run_seconds=100.0), TRANSFER25, COST)
    cost = replace(made.cost, error=0.1, load=0.0, load_branch=0.0)
    fleet = Fleet(made.trace, 300, (made.traits, cost), POLICIES["ours"])
    times = fleet.run().times
    took = times.ended - times.began
    assert float(np.median(np.abs(took / 100.0 - 1))) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(("gpus", "runs"), [(3, 120), (40, 480)])
def test_no_policy_beats_the_bound_and_ours_is_near_it(gpus: int, runs: int) -> None:
    params = Params(runs=runs, seconds=60.0, kinds=3, run_seconds=100.0, load_seconds=10.0)
    made = generate(params, TRANSFER25, COST)
    bound = lower_bound(made.trace, gpus, made.traits, made.cost)
    for policy in POLICIES:
        summary = summarise(policy, made.trace, gpus, bound, simulated(params, gpus, policy)[1])
        assert summary.makespan >= bound - 1e-6
        if policy == "ours":
            assert summary.makespan <= 1.03 * bound


def test_the_simulator_is_deterministic() -> None:
    params = Params(runs=60, seconds=600.0, kinds=4, urgent=0.1)
    first, second = (simulated(params, 5, machines=Machines(failure_hours=1.0))[1] for _ in range(2))
    assert first.batches == second.batches


def test_policies_differ_in_settings_of_the_same_modules_alone() -> None:
    assert all(isinstance(policy, Policy) for policy in POLICIES.values())
    from cosmos_batch.dispatch.scheduler.queue import QueueScheduler
    from cosmos_batch.dispatch.worker import worker as service_worker

    fleet, _ = simulated(Params(runs=1), 1)
    assert type(fleet.workers[0].scheduler) is QueueScheduler is service_worker.QueueScheduler
    assert type(fleet.workers[0].queue) is service_worker.PlannedQueue
