"""Recovery of a service on a virtual clock: crashes, silent workers, full disks, failures of other workers."""

from __future__ import annotations

import errno
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_batch.dispatch.contract import ExitCode
from cosmos_batch.dispatch.output.directory import HOME, OutputDirectory
from cosmos_batch.engines.base import Job
from cosmos_batch.engines.simulated import Fault, SimulatedBehaviour, SimulatedEngine, Trouble
from cosmos_batch.errors import StorageError
from cosmos_batch.ledger import BatchFacts, State
from cosmos_batch.planning.traits import Shape
from tests.support.service_world import World, stamp

FACTS = BatchFacts("replay", Shape(32, 32, 2), 1.0, 0)


class WorkerKilled(BaseException):
    """The worker's process is killed."""


def work_left(world: World) -> list[Path]:
    return list((world.home.videos / HOME / "work").iterdir())


def test_crash_of_a_worker_loses_no_step_of_a_checkpoint(world: World) -> None:
    def die() -> None:
        raise WorkerKilled

    world.submit(world.run("a", steps=10), world.run("b", steps=8))
    world.clock.at(5.5, die)

    with pytest.raises(WorkerKilled):
        world.serve()
    world.ledger.crashes.requeue_dead_worker("worker1", "killed by SIGKILL", {"a": 5, "b": 5})
    world.serve()

    # Five steps were saved, and the sixth was being executed. Then each run goes alone, the first submitted first
    assert (world.finished("a"), world.finished("b")) == (5.5 + 5, 5.5 + 5 + 3)
    record = world.ledger.queries.get("a")
    assert record is not None
    assert (record.crashes, record.lone_crashes, record.failures) == (1, 0, 0)


def test_runs_of_a_silent_worker_are_requeued_when_their_leases_expire(world: World) -> None:
    world.submit(world.run("a"), world.run("b"))
    silent = world.ledger.queue.claim(["a"], FACTS, "silent", lease=30)
    assert silent is not None
    world.arrive(40, world.run("c"))

    world.serve()

    assert set(world.states().values()) == {State.SUCCEEDED}
    assert world.finished("b") == 4
    assert 30 < world.began("a") <= 30 + world.settings.lease / 4
    assert not world.ledger.attempts.finish(silent.attempts["a"], State.FAILED)


def test_step_longer_than_the_lease_loses_no_lease(world: World) -> None:
    world.settings = replace(world.settings, lease=0.2)
    world.submit(world.run("a", steps=2))

    def long_step(_runs: int) -> float:
        world.clock.sleep(10)
        end = time.monotonic() + 60
        while (
            world.ledger.queries.attempts("a")[0].lease_until < world.clock.now()
        ):  # until the heartbeat has renewed it
            assert time.monotonic() < end
            time.sleep(0.01)
        assert world.ledger.queue.reclaim("silent") == []
        return 0.0

    world.step_seconds = long_step
    world.serve()

    assert len(world.ledger.queries.attempts("a")) == 1
    assert world.states() == {"a": State.SUCCEEDED}


def test_full_disk_is_waited_for_and_counts_no_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    full, probe = False, OutputDirectory.probe

    def fill(now: bool) -> None:
        nonlocal full
        full = now

    def write(job: Job, shape: Shape) -> None:
        if full:  # the engine does not know what the error means
            (job.folder / "half.mp4").write_text("half a vid")
            raise OSError(errno.ENOSPC, "No space left on device")
        stamp(job, shape)

    def probing(folder: OutputDirectory) -> None:
        if full:
            raise StorageError("the output folder is on a full disk")
        probe(folder)

    monkeypatch.setattr(OutputDirectory, "probe", probing)
    world.submit(*[world.run(f"r{index}", steps=10) for index in range(3)])
    world.clock.at(3.5, lambda: fill(True))
    world.clock.at(60, lambda: fill(False))

    endings = world.serve(
        SimulatedEngine(world.traits, SimulatedBehaviour(write, 0.0, lambda _runs: 1.0), world.clock)
    )

    assert endings == [ExitCode.STOPPED]
    assert set(world.states().values()) == {State.SUCCEEDED}
    assert "full disk" in world.happened("troubled")[0]["trouble"]
    assert {record.failures for record in world.ledger.queries.records(["r0", "r1", "r2"]).values()} == {0}
    assert world.finished("r0") < 60 + 31 + 10
    assert work_left(world) == []


def test_retried_run_succeeds(world: World) -> None:
    world.faults = {"a": Fault(Trouble.FAIL, 2, times=1)}
    world.submit(world.run("a"))
    world.clock.at(10, lambda: world.ledger.runs.retry(["a"]))

    world.serve()

    assert world.states() == {"a": State.SUCCEEDED}
    assert world.began("a") == 0
    assert world.finished("a") == pytest.approx(14, abs=0.5)


def test_planned_run_that_failed_elsewhere_starts_after_its_wait(world: World) -> None:
    world.submit(*[world.run(f"r{index:02}", steps=10) for index in range(12)])

    def elsewhere() -> None:
        claim = world.ledger.queue.claim(["r11"], FACTS, "other", lease=60)
        assert claim is not None
        world.ledger.attempts.finish(claim.attempts["r11"], State.QUEUED, "faltered", failure=True, wait=30)

    world.clock.at(2.5, elsewhere)

    world.serve()

    assert world.states()["r11"] is State.SUCCEEDED
    assert 32.5 <= world.began("r11") < 34
