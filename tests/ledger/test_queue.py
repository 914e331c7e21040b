"""The queue: claims, changes, reclaimed and deferred runs."""

from __future__ import annotations

from dataclasses import replace

from cosmos_batch.ledger import (
    Ledger,
    State,
)
from tests.support.ledger import FACTS, Clock, OpenLedger, claim, make_run, run_states


def test_run_is_claimed_once(ledger: Ledger, open_ledger: OpenLedger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b"), make_run("c")])
    other = open_ledger()

    first = claim(ledger, "a", "b")
    second = other.queue.claim(["b", "c"], FACTS, "w2", lease=60)
    third = other.queue.claim(["a", "b"], FACTS, "w2", lease=60)

    assert set(first.attempts) == {"a", "b"}
    assert second is not None
    assert set(second.attempts) == {"c"}
    assert third is None
    assert ledger.queries.waiting() == []


def test_expired_lease_requeues_the_run_and_its_attempt_cannot_finish(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    lapsed, renewed = claim(ledger, "a").attempts["a"], claim(ledger, "b").attempts["b"]
    clock.now += 50
    ledger.attempts.progress({renewed: (3, 35)}, lease=60)
    clock.now += 20

    assert ledger.queue.reclaim("its lease ran out") == ["a"]

    assert not ledger.attempts.finish(lapsed, State.SUCCEEDED)
    assert ledger.attempts.finish(renewed, State.SUCCEEDED)
    assert ledger.queries.states() == {State.QUEUED: 1, State.SUCCEEDED: 1}


def test_reclaiming_from_every_worker_requeues_all_held_runs(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b"), make_run("c")])
    claim(ledger, "a", "b")
    ledger.attempts.begin(["a"])

    assert ledger.queue.reclaim("gone", every_worker=True) == ["a", "b"]

    assert ledger.queries.states() == {State.QUEUED: 3}


def test_changes_since_an_id_are_waiting_or_gone(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    everything = ledger.queue.changes_since()
    ledger.runs.submit([make_run("c", priority=5)])
    claim(ledger, "a")

    news = ledger.queue.changes_since(everything.latest)

    assert [entry.id for entry in everything.waiting] == ["a", "b"]
    assert [(entry.id, entry.priority) for entry in news.waiting] == [("c", 5)]
    assert news.gone == ["a"]
    assert ledger.queue.poll().latest == news.latest


def test_claimed_runs_join_a_running_batch(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    first = claim(ledger, "a")

    second = ledger.queue.claim(["b"], FACTS, "w1", 60, into=first.batch)

    assert second is not None
    assert second.batch == first.batch
    assert [look.record.id for look in ledger.queries.under_way()] == ["a", "b"]
    assert ledger.reports.batch_sizes(0) == {2: 1}


def test_deferred_run_fails_after_the_last_attempt(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a")])

    assert ledger.queue.defer(["a"], "no device", 5, max_failures=2) == []
    assert ledger.queue.defer(["a"], "no device", 5, max_failures=2) == ["a"]

    assert run_states(ledger) == {"a": State.FAILED}


def test_remaining_seconds_follow_the_steps_of_a_batch(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([make_run("a"), make_run("b"), make_run("c")])
    begun = claim(ledger, "a", "b")
    claim(ledger, "c", worker="w2")
    clock.now += 2

    ledger.attempts.progress({begun.attempts["a"]: (10, 20), begun.attempts["b"]: (5, 20)}, lease=60)

    # 25 of 40 steps of 6 seconds are left; the other batch has no step yet, so that the clock counts
    assert ledger.queue.remaining_seconds() == {"w1": 6 * 25 / 40, "w2": 4}


def test_remaining_seconds_before_the_first_step_have_the_model_load(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([make_run("a")])
    facts = replace(FACTS, load_seconds=50.0)
    begun = ledger.queue.claim(["a"], facts, "w1", 60)
    assert begun is not None
    clock.now += 2
    assert ledger.queue.remaining_seconds() == {"w1": 54}

    ledger.attempts.progress({begun.attempts["a"]: (1, 3)}, lease=60)
    assert ledger.queue.remaining_seconds() == {"w1": 4}


def test_only_the_runs_of_one_worker_are_reclaimed(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    claim(ledger, "a", worker="w1")
    claim(ledger, "b", worker="w2")

    assert ledger.queue.reclaim("its worker is in trouble", worker="w1") == ["a"]

    assert run_states(ledger) == {"a": State.QUEUED, "b": State.LEASED}
