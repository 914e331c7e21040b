"""Runs: submission, cancellation, retry, priority, deletion."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosmos_batch.errors import ConflictError
from cosmos_batch.ledger import (
    Ledger,
    Publication,
    State,
    Submission,
)
from cosmos_batch.ledger.models import Submitted
from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.run import Control, Priority, Run, Sampling
from tests.support.ledger import claim, make_run, run_states, submitted
from tests.support.runs import resolved


def test_same_request_changes_nothing_and_another_is_queued_again(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])
    ledger.runs.set_state(["a", "b"], State.SUCCEEDED, "made")

    again = ledger.runs.submit([make_run("a"), make_run("b", prompt="other"), make_run("c")])

    assert again == Submitted(new=1, changed=1, known=1)
    assert {s.id: s.state for s in ledger.queries.statuses()} == {
        "a": State.SUCCEEDED,
        "b": State.QUEUED,
        "c": State.QUEUED,
    }


def test_new_priority_of_a_known_request_is_stored(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b")])

    ledger.runs.submit([make_run("b", priority=Priority.HIGH)])

    assert [record.id for record in ledger.queries.waiting()] == ["b", "a"]


def test_more_runs_than_one_statement_takes_are_submitted(ledger: Ledger) -> None:
    runs = [make_run(f"r{index}") for index in range(1201)]  # more than two statements' worth

    assert ledger.runs.submit(runs) == Submitted(1201, 0, 0)
    ledger.runs.set_state([run.id for run in runs], State.CANCELLED, "not wanted any more")

    assert ledger.queries.states() == {State.CANCELLED: 1201}


def test_idempotency_key_stands_for_one_run(ledger: Ledger) -> None:
    assert submitted(ledger, Submission(make_run("a"), key="k1"), Submission(make_run("b"))) == [
        ("a", True),
        ("b", True),
    ]

    # the same request, which the server gave another id this time; then twice in one call
    again = submitted(ledger, Submission(make_run("c"), key="k1"))
    twice = submitted(ledger, Submission(make_run("d"), key="k2"), Submission(make_run("e"), key="k2"))

    assert again == [("a", False)]
    assert twice == [("d", True), ("d", False)]
    assert set(run_states(ledger)) == {"a", "b", "d"}


def test_key_of_another_request_is_refused_and_no_run_is_added(ledger: Ledger) -> None:
    ledger.runs.accept([Submission(make_run("a"), key="k1")])

    with pytest.raises(ConflictError, match="used for another request"):
        ledger.runs.accept([Submission(make_run("b")), Submission(make_run("c", prompt="rain"), key="k1")])

    assert set(run_states(ledger)) == {"a"}


def test_used_id_is_refused(ledger: Ledger) -> None:
    ledger.runs.accept([Submission(make_run("a"))])

    with pytest.raises(ConflictError, match="the id a is the id of a run already"):
        ledger.runs.accept([Submission(make_run("a"))])
    with pytest.raises(ConflictError, match="the id b is given to two runs"):
        ledger.runs.accept([Submission(make_run("b")), Submission(make_run("b"))])


def test_id_that_differs_from_a_used_one_by_case_is_refused(ledger: Ledger) -> None:
    ledger.runs.accept([Submission(make_run("Dock_1"))])

    with pytest.raises(ConflictError, match="dOCK_1 differs by case alone from Dock_1, which is the id of a run"):
        ledger.runs.accept([Submission(make_run("dOCK_1"))])
    with pytest.raises(ConflictError, match="B differs by case alone from b, which is given to two runs"):
        ledger.runs.accept([Submission(make_run("b")), Submission(make_run("B"))])
    assert set(run_states(ledger)) == {"Dock_1"}


def test_submission_is_stored_with_the_run(ledger: Ledger) -> None:
    facts = {"/in/edge.mp4": VideoInfo(64, 32, 9, 8.0)}
    sampling = Sampling(resolution="64x32", num_frames=9)
    run = resolved(Run(id="a", prompt="p", controls=(Control(name="edge", weight=1.0),), sampling=sampling))

    ledger.runs.accept(
        [Submission(run, facts, owner="alice", batch_job_id="batch_1", custom_id="line one", line=1)]
    )

    record = ledger.queries.get("a")
    assert record is not None
    assert (record.facts, record.owner, record.batch_job_id, record.custom_id) == (
        facts,
        "alice",
        "batch_1",
        "line one",
    )
    assert record.shape_label == "edge, 64x32, 9 frames"


def test_run_of_one_frame_is_named_so(ledger: Ledger) -> None:
    run = make_run("a")
    ledger.runs.submit([replace(run, sampling=replace(run.sampling, num_frames=1))])
    record = ledger.queries.get("a")
    assert record is not None
    assert record.shape_label == "edge, 64x32, 1 frame"


def test_waiting_run_is_cancelled_at_once_and_held_run_when_released(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("waits"), make_run("runs"), make_run("done"), make_run("dies")])
    ledger.runs.set_state(["done"], State.SUCCEEDED, "made")
    held = claim(ledger, "runs").attempts["runs"]
    claim(ledger, "dies", worker="w2")

    found = ledger.runs.cancel(["waits", "runs", "done", "dies", "unknown"])

    assert found == {
        "waits": State.CANCELLED,
        "runs": State.LEASED,
        "done": State.SUCCEEDED,
        "dies": State.LEASED,
    }
    assert sorted(ledger.queue.cancel_requests()) == ["dies", "runs"]
    ledger.attempts.finish(held, State.PREEMPTED, "set aside")  # the worker did not hear of it in time
    ledger.queue.reclaim("its worker died", worker="w2")
    assert run_states(ledger) == {
        "waits": State.CANCELLED,
        "runs": State.CANCELLED,
        "done": State.SUCCEEDED,
        "dies": State.CANCELLED,
    }
    assert ledger.queue.cancel_requests() == []


def test_cancel_request_before_publication_is_followed(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a")])
    held = claim(ledger, "a").attempts["a"]

    assert ledger.runs.cancel(["a"]) == {"a": State.LEASED}
    assert ledger.attempts.start_publication(held, 60) is Publication.CANCELLED

    ledger.attempts.finish(held, State.CANCELLED)
    assert run_states(ledger) == {"a": State.CANCELLED}
    assert ledger.attempts.start_publication(held, 60) is Publication.LOST
    assert ledger.queue.cancel_requests() == []


def test_cancel_request_during_publication_comes_too_late(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a")])
    held = claim(ledger, "a").attempts["a"]

    assert ledger.attempts.start_publication(held, 60) is Publication.GRANTED
    assert ledger.runs.cancel(["a"]) == {"a": State.SUCCEEDED}
    assert ledger.queue.cancel_requests() == []

    ledger.attempts.finish(held, State.QUEUED, "the disk is full")
    assert ledger.runs.cancel(["a"]) == {"a": State.CANCELLED}


def test_retry_clears_the_failures(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("bad"), make_run("good"), make_run("off")])
    ledger.attempts.finish(claim(ledger, "bad").attempts["bad"], State.FAILED, "broke", failure=True)
    ledger.runs.set_state(["good"], State.SUCCEEDED, "made")
    ledger.runs.cancel(["off"])

    assert sorted(ledger.runs.retry(["bad", "good", "off", "unknown"])) == ["bad", "off"]

    record = ledger.queries.get("bad")
    assert record is not None
    assert (record.state, record.failures, record.cause) == (State.QUEUED, 0, "asked for again")


def test_reprioritised_run_is_read_with_its_new_priority(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a"), make_run("b"), make_run("done")])
    ledger.runs.set_state(["done"], State.SUCCEEDED, "made")

    assert ledger.runs.reprioritise(["b", "done"], Priority.URGENT) == ["b"]

    assert [record.id for record in ledger.queries.waiting()] == ["b", "a"]
    record = ledger.queries.get("b")
    assert record is not None
    assert record.run.priority == record.priority == Priority.URGENT
    assert ledger.queries.history("b")[-1].reason == "priority is now 100"


def test_only_ended_runs_are_deleted(ledger: Ledger) -> None:
    ledger.runs.accept([Submission(make_run("a"), key="k"), Submission(make_run("b"))])
    ledger.attempts.finish(claim(ledger, "a").attempts["a"], State.SUCCEEDED)

    assert ledger.runs.delete(["a", "b"]) == ["a"]

    assert ledger.queries.get("a") is None
    assert submitted(ledger, Submission(make_run("a"), key="k")) == [("a", True)]


def test_rating_is_stored(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a")])

    assert ledger.runs.rate(["a", "unknown"], 4) == ["a"]

    record = ledger.queries.get("a")
    assert record is not None
    assert record.rating == 4


def test_scores_are_stored_and_cleared_when_the_run_is_made_again(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a")])
    ledger.runs.set_scores({"a": {"edge_f1": 0.5}})
    assert [status.scores for status in ledger.queries.statuses()] == [{"edge_f1": 0.5}]

    ledger.runs.set_state(["a"], State.QUEUED, "its output is missing")
    assert [status.scores for status in ledger.queries.statuses()] == [{}]
