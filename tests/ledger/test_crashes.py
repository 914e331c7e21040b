"""Crashes of workers and quarantine."""

from __future__ import annotations

from cosmos_batch.ledger import (
    Ledger,
    State,
)
from tests.support.ledger import Clock, claim, make_run, run_states


def test_run_that_crashes_its_worker_twice_alone_is_quarantined(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b"), make_run("c")])
    claim(ledger, "a", "b")
    claim(ledger, "c", worker="w2")

    assert ledger.crashes.requeue_dead_worker("w1", "killed by SIGKILL", {"a": 3, "b": 3}) == {}
    for round_ in (1, 2):
        claim(ledger, "a")
        poisoned = ledger.crashes.requeue_dead_worker("w1", "killed by SIGSEGV", {"a": 3})
        assert set(poisoned) == ({"a"} if round_ == 2 else set())

    record = ledger.queries.get("a")
    assert record is not None
    assert record.state is State.FAILED
    assert record.cause == (
        "quarantined: 3 workers crashed while executing it, 2 of them with no other run, the last two times "
        "after step 3 "
        "(killed by SIGSEGV)"
    )
    assert run_states(ledger)["b"] is State.QUEUED
    assert run_states(ledger)["c"] is State.LEASED
    assert ledger.runs.retry(["a"]) == ["a"]
    assert [entry.crashes for entry in ledger.queue.changes_since().waiting if entry.id == "a"] == [0]


def test_run_is_quarantined_later_where_workers_crash_without_it(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    poisoned = []
    for round_ in range(8):
        claim(ledger, "a", worker=f"w{round_}")
        claim(ledger, "b", worker=f"x{round_}")
        poisoned.append(ledger.crashes.requeue_dead_worker(f"w{round_}", "killed by SIGKILL", {"a": 0}))
        ledger.crashes.requeue_dead_worker(f"x{round_}", "killed by SIGKILL", {})

    assert [list(found) for found in poisoned] == [[]] * 7 + [["a"]]


def test_worker_that_dies_outside_its_engine_call_crashes_without_its_runs(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    running = [{"a": 8}, {}, {"a": 8}, {"a": 8}, {"a": 8}]
    poisoned = []
    for round_, executed in enumerate(running):
        claim(ledger, "a", worker=f"w{round_}")
        poisoned.append(ledger.crashes.requeue_dead_worker(f"w{round_}", "killed by SIGKILL", executed))

    assert [list(found) for found in poisoned] == [[], [], [], [], ["a"]]


def test_worker_that_dies_with_another_run_crashes_without_one_that_it_held_before(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    claim(ledger, "a", worker="w0")
    ledger.crashes.requeue_dead_worker("w0", "killed by SIGKILL", {"a": 8})
    claim(ledger, "a", worker="w1")
    ledger.queue.reclaim("its worker was in trouble", worker="w1")
    claim(ledger, "b", worker="w1")
    ledger.crashes.requeue_dead_worker("w1", "killed by SIGKILL", {"b": 8})
    claim(ledger, "a", worker="w2")

    assert ledger.crashes.requeue_dead_worker("w2", "killed by SIGKILL", {"a": 8}) == {}


def test_crashes_of_a_quarantined_run_are_no_evidence_for_others(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    claim(ledger, "a", "b", worker="w0")
    ledger.crashes.requeue_dead_worker("w0", "killed by SIGSEGV", {"a": 0, "b": 0})
    poisoned = []
    for round_, run_id in enumerate(["a", "a", "b", "b"]):
        claim(ledger, run_id, worker=f"x{round_}")
        poisoned.append(ledger.crashes.requeue_dead_worker(f"x{round_}", "killed by SIGSEGV", {run_id: 0}))

    assert [list(found) for found in poisoned] == [[], ["a"], [], ["b"]]


def test_crash_of_the_engine_counts_for_waiting_runs_only(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    claim(ledger, "b")

    assert ledger.crashes.record_crash({"a": 2, "b": 2}, "the engine failed") == {}

    records = ledger.queries.records(["a", "b"])
    assert {id_: (record.crashes, record.lone_crashes) for id_, record in records.items()} == {
        "a": (1, 0),
        "b": (0, 0),
    }


def test_run_that_takes_its_machines_along_is_quarantined(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    poisoned = []
    for round_ in range(6):
        ids = ("a", "b") if round_ < 2 else ("a",)  # a suspect is executed alone
        claimed = claim(ledger, *ids, worker=f"w{round_}")
        ledger.attempts.progress({claimed.attempts["a"]: (3, 8)}, lease=60)
        assert ledger.crashes.requeue_silent() == ([], {})
        clock.now += 61
        requeued, quarantined = ledger.crashes.requeue_silent()
        assert requeued == list(ids)
        poisoned.append(list(quarantined))

    assert poisoned == [[]] * 5 + [["a"]]
    assert run_states(ledger) == {"a": State.FAILED, "b": State.QUEUED}


def test_run_whose_steps_were_done_is_no_suspect_of_a_silent_worker(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([make_run("a")])
    for round_ in range(2):
        claimed = claim(ledger, "a", worker=f"w{round_}")
        ledger.attempts.progress({claimed.attempts["a"]: (8, 8)}, lease=60)
        clock.now += 61
        assert ledger.crashes.requeue_silent() == (["a"], {})

    (entry,) = ledger.queue.changes_since().waiting
    assert entry.crashes == 0
