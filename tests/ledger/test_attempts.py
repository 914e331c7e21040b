"""Attempts: progress, leases and ends."""

from __future__ import annotations

from cosmos_batch.ledger import (
    Ledger,
    State,
)
from tests.support.ledger import Clock, claim, make_run, run_states


def test_attempt_ends_once(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a")])
    attempt = claim(ledger, "a").attempts["a"]

    assert ledger.attempts.finish(attempt, State.FAILED, "broke", failure=True)
    assert not ledger.attempts.finish(attempt, State.SUCCEEDED)

    record = ledger.queries.get("a")
    assert record is not None
    assert (record.state, record.cause, record.failures) == (State.FAILED, "broke", 1)


def test_renewal_returns_the_open_attempts(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    a, b = claim(ledger, "a").attempts["a"], claim(ledger, "b").attempts["b"]
    ledger.attempts.finish(b, State.QUEUED, "taken away")
    clock.now += 50

    assert ledger.attempts.renew([a, b], 60) == {a}

    clock.now += 30
    assert ledger.queue.reclaim("silent") == []


def test_attempt_has_the_times_of_its_first_and_latest_step(ledger: Ledger, clock: Clock) -> None:
    """A resumed one begins where it was; a record without a new step changes no time."""
    ledger.runs.submit([make_run("a")])
    held = claim(ledger, "a").attempts["a"]
    for at, done, steps in ((1010.0, 0, 0), (1030.0, 12, 20), (1035.0, 13, 20), (1036.0, 13, 20)):
        clock.now = at
        ledger.attempts.progress({held: (done, steps)}, lease=60)

    (attempt,) = ledger.queries.attempts("a")

    assert (attempt.first_step, attempt.first_step_at, attempt.step_at) == (12, 1030.0, 1035.0)
    assert (attempt.step, attempt.steps, attempt.lease_until) == (13, 20, 1096.0)


def test_failed_run_waits_before_its_next_attempt(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([make_run("a")])
    ledger.attempts.finish(claim(ledger, "a").attempts["a"], State.QUEUED, "broke", failure=True, wait=30)

    (entry,) = ledger.queue.changes_since().waiting

    assert (entry.not_before, entry.failures) == (clock.now + 30, 1)


def test_open_attempts_are_those_that_have_not_ended(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b"), make_run("c")])
    ended, held = claim(ledger, "a").attempts["a"], claim(ledger, "b").attempts["b"]
    other = claim(ledger, "c", worker="w2").attempts["c"]
    ledger.attempts.finish(ended, State.SUCCEEDED, steps=(20, 20))

    assert ledger.attempts.open_attempts() == {held, other}
    assert ledger.attempts.open_attempts("w2") == {other}
    (attempt,) = ledger.queries.attempts("a")
    assert (attempt.step, attempt.steps) == (20, 20)


def test_preempted_run_with_a_cancel_request_is_cancelled(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a")])
    held = claim(ledger, "a").attempts["a"]
    ledger.attempts.begin(["a"])
    ledger.runs.cancel(["a"])

    assert ledger.attempts.finish(held, State.PREEMPTED, "preempted")

    assert run_states(ledger) == {"a": State.CANCELLED}
