"""Random arrivals, faults and deaths: every run has one outcome, and every video is its own run's."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_batch.dispatch.contract import ExitCode
from cosmos_batch.dispatch.output.directory import HOME
from cosmos_batch.engines.base import Job
from cosmos_batch.engines.simulated import Fault, SimulatedBehaviour, SimulatedEngine, Trouble
from cosmos_batch.ledger import State
from cosmos_batch.ledger.service.usage import UsageBy
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Priority, Run
from tests.support.service_world import World, stamp

EXPECTED = {
    None: {State.SUCCEEDED},
    Trouble.FAIL: {State.FAILED},
    Trouble.BLOCK: {State.BLOCKED},
    Trouble.BREAK: {State.FAILED},
    Trouble.VANISH: {State.FAILED},
    Trouble.FALTER: {State.FAILED},
}


class Death(BaseException):
    """A worker's process is killed: nothing of it runs any more."""


@dataclass(frozen=True)
class Arrival:
    """A run, and what becomes of it."""

    at: float
    steps: int
    priority: int
    controls: str
    size: str
    trouble: Trouble | None
    cancelled: float | None  # seconds after it came


@dataclass(frozen=True)
class Scene:
    """What comes, and when workers die."""

    arrivals: list[Arrival]
    deaths: list[int]  # calls into the clock between one death and the next
    most: int | None
    lag: int  # steps of others while a run is finished


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    arrival = st.builds(
        Arrival,
        at=st.integers(0, 12).map(lambda half: half / 2 + 0.25),
        steps=st.integers(1, 5),
        priority=st.sampled_from((0, 0, 0, 10, Priority.URGENT)),
        controls=st.sampled_from(("edge", "vis", "depth+edge")),
        size=st.sampled_from(("32x32", "32x32", "48x48")),
        trouble=st.none() | st.none() | st.sampled_from(list(Trouble)),
        cancelled=st.none() | st.none() | st.sampled_from((0.0, 1.5, 4.0)),
    )
    return Scene(
        draw(st.lists(arrival, min_size=1, max_size=10)),
        draw(st.lists(st.integers(3, 25), max_size=3)),
        draw(st.none() | st.integers(1, 4)),
        draw(st.integers(0, 3)),
    )


@settings(max_examples=20, deadline=None, derandomize=True)
@given(scene=scenes())
def test_every_run_has_one_outcome_and_every_video_is_its_own(scene: Scene) -> None:
    with tempfile.TemporaryDirectory() as place:
        world = World(Path(place), most=scene.most)
        runs = prepare(world, scene)
        succeeded: list[str] = []

        def write(job: Job, shape: Shape) -> None:
            succeeded.append(job.run.id)
            stamp(job, shape)

        script = SimulatedBehaviour(write, 0.0, lambda _runs: 1.0, scene.most, scene.lag, world.faults)
        live(world, SimulatedEngine(world.traits, script, world.clock), list(scene.deaths))

        for run, arrival in zip(runs, scene.arrivals, strict=True):
            check(world, run, arrival)
        assert not any((world.home.videos / HOME / "work").iterdir())
        used = sum(total.seconds for total in world.ledger.usage.totals(UsageBy.TENANT))
        (spent,) = world.ledger.reports.throughput(0, 2e6, 2e6)
        assert used == pytest.approx(spent.engine_seconds, rel=1e-3)
        world.ledger.close()


def prepare(world: World, scene: Scene) -> list[Run]:
    runs = []
    for index, arrival in enumerate(scene.arrivals):
        run = world.run(f"r{index}", steps=arrival.steps, priority=arrival.priority, controls=arrival.controls)
        run = replace(run, sampling=replace(run.sampling, resolution=arrival.size))
        world.arrive(arrival.at, run)
        if arrival.cancelled is not None:
            world.clock.at(arrival.at + arrival.cancelled, lambda id_=run.id: world.ledger.runs.cancel([id_]))
        runs.append(run)
    faults = enumerate(scene.arrivals)
    world.faults = {f"r{index}": Fault(each.trouble, 1) for index, each in faults if each.trouble is not None}
    return runs


def live(world: World, engine: SimulatedEngine, deaths: list[int]) -> None:
    """Workers follow one another until all is done; those whose hour has come die between two breaths."""
    breathe = world.clock.sleep

    while True:
        left = deaths.pop(0) if deaths else None
        breaths = 0

        def sleep(seconds: float) -> None:
            nonlocal breaths
            breaths += 1
            if breaths == left:  # noqa: B023 - called within this turn of the loop
                raise Death
            breathe(seconds)

        world.clock.sleep = sleep  # type: ignore[method-assign]
        worker = world.worker(engine)
        try:
            ending = worker.run()
        except Death:
            world.ledger.crashes.requeue_dead_worker(f"worker{world.workers}", "killed by SIGKILL", {})
            for path in (world.home.videos / HOME / "work").iterdir():
                for file in path.iterdir():
                    file.unlink()
                path.rmdir()
            continue
        finally:
            world.clock.sleep = breathe  # type: ignore[method-assign]
        if ending is ExitCode.STOPPED:
            return


def check(world: World, run: Run, arrival: Arrival) -> None:
    history = world.ledger.queries.history(run.id)
    state = history[-1].state
    allowed = EXPECTED[arrival.trouble] | ({State.CANCELLED} if arrival.cancelled is not None else set())
    assert state in allowed, (run.id, arrival, history)
    attempts = world.ledger.queries.attempts(run.id)
    assert all(attempt.ended is not None for attempt in attempts)
    assert sum(attempt.outcome is State.SUCCEEDED for attempt in attempts) == (state is State.SUCCEEDED)
    published = world.home.videos / run.id
    assert published.exists() is (state is State.SUCCEEDED)
    if published.exists():
        assert (published / "output.mp4").read_text() == run.fingerprint
        assert json.loads((published / "run.json").read_text())["fingerprint"] == run.fingerprint
