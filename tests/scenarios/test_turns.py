"""Eight workers on one ledger, which decide at the same time: an urgent run takes the place of one run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_batch.dispatch.contract import Done
from cosmos_batch.dispatch.loop import Dispatcher
from cosmos_batch.ledger import State
from cosmos_batch.run import Priority
from tests.support.service_world import World

WORKERS = 8
SLOTS = 2  # of each batch


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.settings = replace(world.settings, max_batch=SLOTS)
    return world


@pytest.fixture
def dispatchers(world: World) -> list[Dispatcher]:
    """Workers with full batches of runs that last."""
    world.submit(*[world.run(f"r{number:02}", steps=1000) for number in range(WORKERS * SLOTS)])
    made = [world.worker().dispatcher for _ in range(WORKERS)]
    while world.ledger.queries.states().get(State.RUNNING) != WORKERS * SLOTS:
        turn(made)
    return made


def turn(dispatchers: list[Dispatcher]) -> None:
    """Let all workers decide, and only then apply their decisions."""
    for dispatcher, decision in [(each, each.decide()) for each in dispatchers]:
        assert not isinstance(decision, Done)
        dispatcher.apply(decision)


def preempted(world: World) -> Counter[str]:
    """How often each run was preempted."""
    ids = [status.id for status in world.ledger.queries.statuses()]
    states = {run_id: [change.state for change in world.ledger.queries.history(run_id)] for run_id in ids}
    return Counter({run_id: found.count(State.PREEMPTED) for run_id, found in states.items()})


@pytest.mark.parametrize("count", [1, 3, WORKERS])
def test_each_urgent_run_displaces_one_run(world: World, dispatchers: list[Dispatcher], count: int) -> None:
    world.submit(*[world.run(f"u{n}", steps=1000, priority=Priority.URGENT) for n in range(count)])

    for _ in range(2 + count):
        turn(dispatchers)

    assert {world.states()[f"u{n}"] for n in range(count)} == {State.RUNNING}
    assert preempted(world).total() == count
    assert max(preempted(world).values()) == 1


@pytest.mark.parametrize(("resolution", "controls"), [("48x48", "edge"), ("32x32", "depth")])
def test_urgent_run_that_cannot_join_displaces_one_batch(
    world: World, dispatchers: list[Dispatcher], resolution: str, controls: str
) -> None:
    urgent = world.run("u", steps=1000, priority=Priority.URGENT, controls=controls)
    world.submit(replace(urgent, sampling=replace(urgent.sampling, resolution=resolution)))

    for _ in range(6):
        turn(dispatchers)

    assert world.states()["u"] is State.RUNNING
    assert preempted(world).total() == SLOTS
    batches = {attempt.batch for attempt in world.ledger.queries.attempts("u")}
    assert len(batches) == 1


def test_displaced_runs_continue_after_the_urgent_one(world: World, dispatchers: list[Dispatcher]) -> None:
    urgent = world.run("u", steps=2, priority=Priority.URGENT)
    world.submit(replace(urgent, sampling=replace(urgent.sampling, resolution="48x48")))

    for _ in range(12):
        turn(dispatchers)

    assert world.states()["u"] is State.SUCCEEDED
    assert preempted(world).total() == SLOTS
    assert {state for run_id, state in world.states().items() if run_id != "u"} == {State.RUNNING}
