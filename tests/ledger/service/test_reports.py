"""Reports on the queue and the past."""

from __future__ import annotations

from cosmos_batch.ledger import (
    Ledger,
    State,
)
from cosmos_batch.planning.cost.model import Measurement
from tests.support.ledger import FACTS, Clock, claim, make_run


def test_reports_of_ended_batches(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    clock.now += 10
    facts = FACTS.__class__(FACTS.engine, FACTS.shape, 6.0, 0, {"a": 50.0, "b": 70.0})
    made = ledger.queue.claim(["a", "b"], facts, "w1", 60)
    assert made is not None
    clock.now += 30
    ledger.attempts.finish(made.attempts["a"], State.SUCCEEDED)
    ledger.attempts.finish(made.attempts["b"], State.FAILED, "broke")
    ledger.attempts.end_batch(made.batch, seconds=28.0)
    ledger.measurements.add(
        Measurement(engine="e", device="d", kind="batch", seconds=8.0, runs=2, predicted_seconds=6.0), made.batch
    )
    ledger.measurements.add_counters({("steps", ""): 4.0, ("wait_seconds", "le:10"): 1.0})
    ledger.measurements.add_counters({("steps", ""): 1.0})

    before, during = ledger.reports.throughput(980, 1060, 40)

    assert (before.ended, before.engine_seconds) == ({}, 0)
    assert during.ended == {State.SUCCEEDED: 1, State.FAILED: 1}
    assert (during.engine_seconds, during.alone_seconds) == (28, 50)
    (prediction,) = ledger.reports.predictions()
    assert (prediction.predicted, prediction.seconds, prediction.runs) == (6, 8, 2)
    (times,) = ledger.reports.run_times(0)
    assert (times.waited, times.took) == (10, 30)
    assert ledger.measurements.counters() == {("steps", ""): 5.0, ("wait_seconds", "le:10"): 1.0}


def test_queue_is_counted_by_shape_and_state(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b"), make_run("c")])
    claim(ledger, "a")

    assert [(count.state, count.runs, count.predicted_seconds) for count in ledger.reports.shapes()] == [
        (State.QUEUED, 2, 0),
        (State.LEASED, 1, 6),
    ]
