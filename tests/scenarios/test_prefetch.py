"""Which runs a session prefetches while others are denoised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_batch.dispatch.worker.inflight import InflightMarker, TrackedEngine, read_inflight
from cosmos_batch.engines.base import Job
from cosmos_batch.ledger import BatchFacts, State, WorkerState
from cosmos_batch.planning.plan import Batch, Launch
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import Priority
from tests.support.dispatch_world import TRAITS
from tests.support.service_world import ListeningEngine, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One run to a batch."""
    made = World(tmp_path)
    made.settings = replace(made.settings, max_batch=1)
    return made


def test_next_batch_of_a_launch_is_prefetched(world: World) -> None:
    world.traits = replace(TRAITS, steppable=False)
    engine = ListeningEngine(world)
    world.submit(*[world.run(f"r{index}") for index in range(3)])

    world.serve(engine)

    assert engine.expected == [["r0 r1", "r1 r2", "r2"]]


def test_next_launch_is_prefetched(world: World) -> None:
    """Each is expected while the one before is at work, and still is as it joins."""
    engine = ListeningEngine(world)
    world.submit(*[world.run(f"r{index}") for index in range(3)])

    world.serve(engine)

    assert engine.expected == [["r0 r1", "r1", "r1 r2", "r2", "r2"]]


def test_with_other_workers_more_launches_are_prefetched(world: World) -> None:
    """As many are expected as there are workers, and the device has no part in it."""
    engine = ListeningEngine(world)
    world.ledger.workers.report("another", WorkerState.WORKING)
    world.ledger.workers.report("one that is gone", WorkerState.ENDED)
    world.submit(*[world.run(f"r{index}") for index in range(4)])

    world.serve(engine)

    assert engine.expected == [["r0 r1 r2", "r1 r2", "r1 r2 r3", "r2 r3", "r2 r3", "r3", "r3"]]
    assert not any(engine.sessions[0].certain)


def test_near_the_end_the_longest_goes_first_if_another_worker_is_soon_free(world: World) -> None:
    world.ledger.workers.report("another", WorkerState.WORKING)
    long = world.run("long", steps=9)
    long = replace(long, sampling=replace(long.sampling, resolution="48x48"))
    world.submit(world.run("taken"), world.run("short", steps=1), long)
    world.ledger.queue.claim(["taken"], BatchFacts("replay", Shape(32, 32, 2), 1.0, 0), "another", lease=20)

    busy = world.ledger.queue.remaining_seconds()
    world.serve(ListeningEngine(world))

    assert busy == {"another": 1.0}
    assert world.began("long") < world.began("short")


def test_the_parts_of_what_was_planned_as_one_batch_are_as_long_as_their_runs(world: World) -> None:
    """Of runs of one shape, one takes more steps."""
    world.ledger.workers.report("another", WorkerState.WORKING)
    world.submit(world.run("taken"), world.run("short", steps=2), world.run("long", steps=30))
    world.ledger.queue.claim(["taken"], BatchFacts("replay", Shape(32, 32, 2), 0.2, 0), "another", lease=20)

    world.serve(ListeningEngine(world))

    assert world.began("long") < world.began("short")


def test_runs_that_another_worker_claimed_are_not_shared_out_again(world: World) -> None:
    """Else it would seem that there is something long for the other, too."""
    world.ledger.workers.report("another", WorkerState.WORKING)
    first, short, long, taken = (world.run(run_id) for run_id in ("first", "short", "long", "taken"))
    first = replace(first, priority=Priority.HIGH)
    long, taken = (
        replace(run, sampling=replace(run.sampling, resolution="48x48", num_steps=9)) for run in (long, taken)
    )
    world.submit(first, short, long, taken)
    facts = BatchFacts("replay", Shape(32, 32, 2), 2.2, 0)
    world.clock.at(2.1, lambda: world.ledger.queue.claim(["taken"], facts, "another", lease=20))

    world.serve(ListeningEngine(world))

    assert world.began("first") < world.began("long") < world.began("short")


def test_remaining_seconds_of_a_worker_follow_its_steps(world: World) -> None:
    """Whatever the clock says: predictions may be off, and those of what waits are as far off."""
    facts = BatchFacts("replay", Shape(32, 32, 2), 12.0, 0)
    world.submit(world.run("a"), world.run("b"))
    claim = world.ledger.queue.claim(["a", "b"], facts, "another", lease=20)
    assert claim is not None
    first, second = claim.attempts["a"], claim.attempts["b"]

    world.ledger.attempts.progress({first: (3, 4), second: (1, 4)}, lease=20)
    world.clock.sleep(100)
    assert world.ledger.queue.remaining_seconds() == {"another": pytest.approx(12 * 4 / 8)}

    world.ledger.attempts.finish(first, State.FAILED, "broken")
    assert world.ledger.queue.remaining_seconds() == {"another": pytest.approx(12 * 3 / 8)}


def test_prefetch_follows_the_order_of_launches(world: World) -> None:
    engine = ListeningEngine(world)
    world.submit(world.run("a", steps=9), world.run("b", steps=9))
    world.arrive(1.5, world.run("first", priority=Priority.HIGH))

    world.serve(engine)

    assert engine.expected == [["a b", "b", "first", "first b", "b", "b"]]


def test_runs_of_other_branches_are_prefetched_too(world: World) -> None:
    engine = ListeningEngine(world)
    world.submit(world.run("a", priority=3, steps=30))
    world.arrive(0.5, world.run("b", priority=2, controls="depth"))

    world.serve(engine)

    assert engine.expected == [["a", "b", "b"]]


def test_suspect_is_not_prefetched_beside_other_runs(world: World) -> None:
    """Reading may be what kills: neither is it expected, nor anybody while it is at work."""
    engine = ListeningEngine(world)
    world.submit(world.run("a", priority=2), world.run("suspect", priority=1), world.run("z"))
    world.ledger.queue.claim(["suspect"], BatchFacts("replay", Shape(32, 32, 2), 1.0, 0), "dead", lease=900)
    world.ledger.queue.reclaim("it died", worker="dead")
    world.ledger.crashes.record_crash({"suspect": 0}, "it died")

    world.serve(engine)

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert engine.expected == [["a"], ["suspect"], ["z"]]


def test_prefetched_runs_are_in_the_inflight_marker(world: World) -> None:
    a, b = world.run("a"), world.run("b")
    path = world.home.marker(0)
    engine = TrackedEngine(world.engine(), InflightMarker(path, "worker"))
    session = engine.open(Launch(0, ("edge",), (Batch((a,), Shape(32, 32, 2), 1.0, 0),), 0.0, "a test"))
    boxes = []

    session.prefetch([a, b])
    for event in session.join(Job(a, world.root / "work", world.root / "state")):
        pytest.fail(f"{event} is not expected")
    advance = session.advance()
    world.clock.at(0.5, lambda: boxes.append(read_inflight(path)))
    list(advance)
    session.prefetch([])
    world.clock.at(1.5, lambda: boxes.append(read_inflight(path)))
    list(session.advance())

    assert [dict(box.running) for box in boxes] == [{"a": 0, "b": 0}, {"a": 1}]
