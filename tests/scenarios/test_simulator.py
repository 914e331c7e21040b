"""The simulator against a service: the same runs through both give the same order, batches and states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from cosmos_batch.dispatch.scheduler.queue_planner import SchedulerSettings
from cosmos_batch.dispatch.settings import DispatchSettings
from cosmos_batch.ledger import State
from cosmos_batch.planning.cost.model import CostModel
from cosmos_batch.run import Priority, ResolvedRun
from cosmos_batch.simulation.fleet.fleet import Fleet
from cosmos_batch.simulation.policies import Policy
from cosmos_batch.simulation.settings import SimulationSettings
from cosmos_batch.simulation.trace import Arrival, trace_of
from tests.support import dispatch_world, service_world
from tests.support.dispatch_world import FACTS, PRIOR, TRAITS
from tests.support.service_world import World
from tests.support.turn_clock import TurnClock

RUNS = 200
STEP = (
    0.0973  # seconds of a step for each run of its batch: no multiple of it is one of the time between two polls
)
COST = replace(PRIOR, load=0.0, load_branch=0.0, step=0.0)
OFFSET = 40.0  # seconds into a minute at which the world's clock begins: ranks count whole minutes
EVERY = 2.0  # seconds between two arrivals for each worker, in the mean


def arrivals(world: World, seed: int, workers: int) -> list[tuple[float, ResolvedRun]]:
    """Runs of three control sets and of many lengths, a few of them urgent, low or high."""
    dice, at, found = Random(seed), 0.0, []
    for index in range(RUNS):
        at += dice.expovariate(workers / EVERY)
        priority = dice.choices([0, Priority.URGENT, Priority.LOW, Priority.HIGH], [80, 5, 10, 5])[0]
        controls, steps = dice.choice(["edge", "vis", "edge+depth"]), dice.randint(4, 30)
        found.append((at, world.run(f"r{index:03}", steps=steps, priority=priority, controls=controls)))
    return found


def cost_of_a_step() -> CostModel:
    """The cost in which a step takes 0.1 s for every run of its batch, as the simulated engine takes."""
    run = dispatch_world.make_run("r", Path("in.mp4"))
    return replace(COST, token=STEP / (2 * TRAITS.tokens(run, TRAITS.shape(run, FACTS))))


@pytest.mark.parametrize(("seed", "workers"), [(0, 1), (1, 2)])
def test_the_simulator_makes_the_batches_of_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, workers: int
) -> None:
    monkeypatch.setattr(service_world, "LONGEST", 100_000.0)
    clock, cost = TurnClock(), cost_of_a_step()
    world = World(
        tmp_path / "world",
        clock=clock,
        settings=DispatchSettings(save_every=0, retry_wait=5, guarded=True, lease=1e9),
        step_seconds=lambda runs: STEP * runs,
        forecast_every=float("inf"),
        prior=cost,
    )
    given = arrivals(world, seed, workers)
    for at, run in given:
        world.arrive(at, run)
    clock.run([world.worker().run for _ in range(workers)])

    trace = trace_of((Arrival(OFFSET + at, run) for at, run in given), {str(world.video): FACTS})
    fleet = Fleet(
        trace,
        workers,
        (TRAITS, cost),
        Policy("same", "", SchedulerSettings(rules=world.scheduling.rules)),
        settings=SimulationSettings(poll=0.25),
        keep_batches=True,
    )
    records = fleet.run()

    ids = [run.id for _, run in given]
    began = [(line["worker"], tuple(sorted(line["runs"]))) for line in world.happened("began")]
    assert records.batches is not None
    assert [
        (f"worker{batch.worker + 1}", tuple(sorted(ids[place] for place in batch.runs)))
        for batch in records.batches
    ] == began
    assert set(world.states().values()) == {State.SUCCEEDED}
    assert not records.times.failed.any()
    ended = np.array([world.finished(run_id) for run_id in ids])
    assert records.times.ended - OFFSET == pytest.approx(ended, rel=0.02, abs=0.3)
