"""Records of workers."""

from __future__ import annotations

from cosmos_batch.ledger import (
    Ledger,
    WorkerState,
)
from tests.support.ledger import Clock


def test_worker_reports_until_it_ends(ledger: Ledger, clock: Clock) -> None:
    ledger.workers.report("w1", WorkerState.STARTING)
    ledger.workers.register("w1", "pocket", "cpu")
    ledger.workers.report("w1", WorkerState.TROUBLED, trouble="the disk is full", forecast={"runs": 3})
    clock.now += 5
    ledger.workers.heartbeat("w1")

    (worker,) = ledger.workers.all()
    assert (worker.engine, worker.device, worker.state) == ("pocket", "cpu", WorkerState.TROUBLED)
    assert (worker.trouble, worker.forecast, worker.heartbeat) == ("the disk is full", {"runs": 3}, 1005)
    ledger.workers.report("w1", WorkerState.ENDED)
    assert ledger.workers.all() == []
    assert len(ledger.workers.all(ended=True)) == 1


def test_closed_workers_have_ended(ledger: Ledger) -> None:
    for name in ("w1", "w2", "w3"):
        ledger.workers.report(name, WorkerState.WORKING, batch=1)

    ledger.workers.close(["w1"])
    assert [worker.id for worker in ledger.workers.all()] == ["w2", "w3"]

    ledger.workers.close(["w2", "w3", "unknown"])
    assert ledger.workers.all() == []
    ended = ledger.workers.all(ended=True)
    assert [(worker.state, worker.batch) for worker in ended] == [(WorkerState.ENDED, None)] * 3


def test_worker_without_a_heartbeat_has_ended_until_it_reports_again(ledger: Ledger, clock: Clock) -> None:
    ledger.workers.report("old", WorkerState.WORKING)
    clock.now += 600
    ledger.workers.report("new", WorkerState.WORKING)
    clock.now += 1

    ledger.workers.close_silent(600)
    assert [worker.id for worker in ledger.workers.all()] == ["new"]
    ledger.workers.report("old", WorkerState.IDLE)
    assert [worker.id for worker in ledger.workers.all()] == ["old", "new"]
