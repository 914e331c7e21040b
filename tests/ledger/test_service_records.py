"""What a service asks of the ledger: idempotent submission, pages, wishes, orders, files, keys, modes, figures."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from alembic.command import upgrade
from alembic.config import Config
from sqlalchemy import create_engine

from cosmos_batch.errors import ConflictError
from cosmos_batch.ledger import (
    BatchJobRecord,
    BatchJobState,
    FileRecord,
    Filter,
    Ledger,
    Mode,
    State,
    Submission,
    WorkerState,
)
from cosmos_batch.ledger.database.connection import MIGRATIONS, sqlite_url
from cosmos_batch.planning.cost.model import Measurement
from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.run import Control, Priority, Run, Sampling, as_dict
from tests.ledger.conftest import FACTS, Clock, a_run, claim
from tests.support.runs import resolved


def states(ledger: Ledger) -> dict[str, State]:
    return {standing.id: standing.state for standing in ledger.queries.statuses()}


def taken(ledger: Ledger, *wanted: Submission) -> list[tuple[str, bool]]:
    return [(accepted.run, accepted.new) for accepted in ledger.runs.accept(wanted)]


def test_a_key_stands_for_one_run(ledger: Ledger) -> None:
    assert taken(ledger, Submission(a_run("a"), key="k1"), Submission(a_run("b"))) == [("a", True), ("b", True)]

    # the same request, which the server gave another id this time; then twice in one call
    again = taken(ledger, Submission(a_run("c"), key="k1"))
    twice = taken(ledger, Submission(a_run("d"), key="k2"), Submission(a_run("e"), key="k2"))

    assert again == [("a", False)]
    assert twice == [("d", True), ("d", False)]
    assert set(states(ledger)) == {"a", "b", "d"}


def test_a_key_for_another_request_is_refused_and_nothing_is_taken(ledger: Ledger) -> None:
    ledger.runs.accept([Submission(a_run("a"), key="k1")])

    with pytest.raises(ConflictError, match="used for another request"):
        ledger.runs.accept([Submission(a_run("b")), Submission(a_run("c", prompt="rain"), key="k1")])

    assert set(states(ledger)) == {"a"}


def test_an_id_is_given_once(ledger: Ledger) -> None:
    ledger.runs.accept([Submission(a_run("a"))])

    with pytest.raises(ConflictError, match="there is a run a already"):
        ledger.runs.accept([Submission(a_run("a"))])
    with pytest.raises(ConflictError, match="two runs"):
        ledger.runs.accept([Submission(a_run("b")), Submission(a_run("b"))])


def test_what_came_with_a_run_is_kept(ledger: Ledger) -> None:
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


def test_pages_follow_one_another(ledger: Ledger, clock: Clock) -> None:
    for index in range(5):
        clock.now += index // 2  # some at the same time
        ledger.runs.accept([Submission(a_run(f"r{index}", prompt=f"Rainy {index}" if index % 2 else "sunny_%"))])

    first = ledger.queries.page(limit=2)
    second = ledger.queries.page(after=first.runs[-1].record.id, limit=2)
    third = ledger.queries.page(after=second.runs[-1].record.id, limit=2)

    assert [[look.record.id for look in page.runs] for page in (first, second, third)] == [
        ["r4", "r3"],
        ["r2", "r1"],
        ["r0"],
    ]
    assert [page.more for page in (first, second, third)] == [True, True, False]
    assert [look.record.id for look in ledger.queries.page(newest_first=False, after="r3").runs] == ["r4"]
    assert ledger.queries.page(after="unknown").runs == ()


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (Filter(text="RAIN"), ["b"]),
        (Filter(text="%"), ["c"]),  # as it stands, not as a pattern
        (Filter(states=[State.CANCELLED]), ["a"]),
        (Filter(control="vis"), ["c"]),
        (Filter(owner="alice"), ["b"]),
        (Filter(rating=5), ["b"]),
        (Filter(batch_job_id="batch_1", states=[State.QUEUED]), ["c"]),
        (Filter(), ["c", "b", "a"]),
    ],
)
def test_runs_are_found(ledger: Ledger, clock: Clock, where: Filter, found: list[str]) -> None:
    vis = Run(id="c", prompt="100 %", controls=(Control(name="vis", weight=1.0), Control(name="edge", weight=0)))
    ledger.runs.accept([Submission(a_run("a"), batch_job_id="batch_1")])
    clock.now += 1
    ledger.runs.accept([Submission(a_run("b", prompt="rainy"), owner="alice")])
    clock.now += 1
    ledger.runs.accept([Submission(resolved(vis), batch_job_id="batch_1")])
    ledger.runs.cancel(["a"])
    ledger.runs.rate("b", 5)

    assert [look.record.id for look in ledger.queries.page(where).runs] == found
    assert ledger.queries.count(where) == len(found)


def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_when_its_worker_lets_go(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("waits"), a_run("runs"), a_run("done"), a_run("dies")])
    ledger.runs.settle(["done"], State.SUCCEEDED, "made")
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
    assert states(ledger) == {
        "waits": State.CANCELLED,
        "runs": State.CANCELLED,
        "done": State.SUCCEEDED,
        "dies": State.CANCELLED,
    }
    assert ledger.queue.cancel_requests() == []


def test_a_cancelled_run_that_was_made_before_its_worker_heard_of_it_stays_made(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a")])
    held = claim(ledger, "a").attempts["a"]
    ledger.runs.cancel(["a"])

    ledger.attempts.finish(held, State.SUCCEEDED)

    assert states(ledger) == {"a": State.SUCCEEDED}
    assert ledger.queue.cancel_requests() == []


def test_what_failed_can_be_tried_again_with_a_clean_record(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("bad"), a_run("good"), a_run("off")])
    ledger.attempts.finish(claim(ledger, "bad").attempts["bad"], State.FAILED, "broke", failure=True)
    ledger.runs.settle(["good"], State.SUCCEEDED, "made")
    ledger.runs.cancel(["off"])

    assert sorted(ledger.runs.retry(["bad", "good", "off", "unknown"])) == ["bad", "off"]

    record = ledger.queries.get("bad")
    assert record is not None
    assert (record.state, record.failures, record.cause) == (State.QUEUED, 0, "asked for again")


def test_a_new_priority_counts_everywhere(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a"), a_run("b"), a_run("done")])
    ledger.runs.settle(["done"], State.SUCCEEDED, "made")

    assert ledger.runs.reprioritise(["b", "done"], Priority.URGENT) == ["b"]

    assert [record.id for record in ledger.queries.waiting()] == ["b", "a"]
    record = ledger.queries.get("b")
    assert record is not None
    assert record.run.priority == record.priority == Priority.URGENT
    assert ledger.queries.history("b")[-1].reason == "priority is now 100"


def test_only_what_has_ended_is_forgotten(ledger: Ledger) -> None:
    ledger.runs.accept([Submission(a_run("a"), key="k"), Submission(a_run("b"))])
    ledger.attempts.finish(claim(ledger, "a").attempts["a"], State.SUCCEEDED)

    assert ledger.runs.delete(["a", "b"]) == ["a"]

    assert ledger.queries.get("a") is None
    assert taken(ledger, Submission(a_run("a"), key="k")) == [("a", True)]


def test_changes_are_followed(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a")])
    mark = ledger.queries.latest_change()
    ledger.runs.submit([a_run("b")])
    ledger.runs.cancel(["b"])

    assert [(change.run, change.state) for change in ledger.queries.changes(mark)] == [
        ("b", State.QUEUED),
        ("b", State.CANCELLED),
    ]
    assert ledger.queries.changes(mark, run_id="a") == []
    ledger.runs.delete(["b"])
    ledger.runs.submit([a_run("c")])  # what was forgotten does not give its place to another
    assert ledger.queries.latest_change() > mark + 2


def test_the_queue_tells_its_news(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a"), a_run("b")])
    everything = ledger.queue.changes_since()
    ledger.runs.submit([a_run("c", priority=5)])
    claim(ledger, "a")

    news = ledger.queue.changes_since(everything.latest)

    assert [entry.id for entry in everything.waiting] == ["a", "b"]
    assert [(entry.id, entry.priority) for entry in news.waiting] == [("c", 5)]
    assert news.gone == ["a"]
    assert ledger.queue.poll().latest == news.latest


def test_runs_join_a_batch_that_has_begun(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a"), a_run("b")])
    first = claim(ledger, "a")

    second = ledger.queue.claim(["b"], FACTS, "w1", 60, into=first.batch)

    assert second is not None
    assert second.batch == first.batch
    assert [look.record.id for look in ledger.queries.under_way()] == ["a", "b"]
    assert ledger.reports.batch_sizes(0) == {2: 1}


def test_leases_are_renewed_together_and_lost_ones_are_named(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([a_run("a"), a_run("b")])
    a, b = claim(ledger, "a").attempts["a"], claim(ledger, "b").attempts["b"]
    ledger.attempts.finish(b, State.QUEUED, "taken away")
    clock.now += 50

    assert ledger.attempts.renew([a, b], 60) == {a}

    clock.now += 30
    assert ledger.queue.reclaim("silent") == []


def test_a_failed_run_waits_before_it_is_tried_again(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([a_run("a")])
    ledger.attempts.finish(claim(ledger, "a").attempts["a"], State.QUEUED, "broke", failure=True, wait=30)

    (entry,) = ledger.queue.changes_since().waiting

    assert (entry.not_before, entry.failures) == (clock.now + 30, 1)


def test_the_dead_are_buried_and_a_run_that_killed_twice_is_set_aside(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a"), a_run("b"), a_run("c")])
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
    assert states(ledger)["b"] is State.QUEUED
    assert states(ledger)["c"] is State.LEASED
    assert ledger.runs.retry(["a"]) == ["a"]
    assert [entry.crashes for entry in ledger.queue.changes_since().waiting if entry.id == "a"] == [0]


def test_where_workers_die_of_something_else_too_no_run_is_condemned_at_once(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a"), a_run("b")])
    poisoned = []
    for round_ in range(4):
        claim(ledger, "a", worker=f"w{round_}")
        claim(ledger, "b", worker=f"x{round_}")
        poisoned.append(ledger.crashes.requeue_dead_worker(f"w{round_}", "killed by SIGKILL", {"a": 0}))
        ledger.crashes.requeue_dead_worker(f"x{round_}", "killed by SIGKILL", {})

    assert [list(found) for found in poisoned] == [[], [], [], ["a"]]


def test_runs_that_could_not_be_begun_are_put_off_and_fail_in_the_end(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a")])

    assert ledger.queue.defer(["a"], "no device", 5, most=2) == []
    assert ledger.queue.defer(["a"], "no device", 5, most=2) == ["a"]

    assert states(ledger) == {"a": State.FAILED}


def test_the_mode_is_kept(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.settings.mode() is Mode.RUNNING

    ledger.settings.set_mode(Mode.PAUSED)
    ledger.settings.set_mode(Mode.DRAINING)

    other = Ledger(tmp_path / "ledger.sqlite")
    assert other.settings.mode() is other.queue.poll().mode is Mode.DRAINING
    other.close()


def test_workers_report_until_they_end(ledger: Ledger, clock: Clock) -> None:
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


def an_order(order_id: str, clock: Clock) -> BatchJobRecord:
    return BatchJobRecord(
        id=order_id,
        input_file="file-1",
        endpoint="/v1/videos",
        window="24h",
        state=BatchJobState.VALIDATING,
        details={"project": "night"},
        owner="alice",
        errors=[],
        output_file="",
        error_file="",
        total=2,
        created=clock.now,
    )


def test_orders_count_their_runs(ledger: Ledger, clock: Clock) -> None:
    order = an_order("batch_1", clock)
    ledger.batch_jobs.add(order)
    clock.now += 1
    ledger.batch_jobs.add(an_order("batch_2", clock))
    ledger.runs.accept([Submission(a_run("b"), batch_job_id="batch_1", custom_id="two", line=2)])
    ledger.runs.accept([Submission(a_run("a"), batch_job_id="batch_1", custom_id="one", line=1)])
    ledger.runs.cancel(["a"])

    assert ledger.batch_jobs.get("batch_1") == order
    assert ledger.batch_jobs.counts("batch_1") == {State.QUEUED: 1, State.CANCELLED: 1}
    assert list(ledger.batch_jobs.runs("batch_1")) == [("a", "one"), ("b", "two")]
    assert ledger.batch_jobs.change(
        "batch_1", only=[BatchJobState.VALIDATING], state=BatchJobState.IN_PROGRESS, started=5.0
    )
    assert not ledger.batch_jobs.change("batch_1", only=[BatchJobState.VALIDATING], state=BatchJobState.CANCELLED)
    assert [found.id for found in ledger.batch_jobs.page()] == ["batch_2", "batch_1"]
    assert [found.id for found in ledger.batch_jobs.page(after="batch_2")] == ["batch_1"]
    assert [found.id for found in ledger.batch_jobs.page(states=[BatchJobState.IN_PROGRESS])] == ["batch_1"]
    assert ledger.batch_jobs.get("batch_3") is None


def test_files_come_and_go(ledger: Ledger) -> None:
    video = FileRecord("file-1", "a.mp4", "user_data", "/up/1", 5, "ab", "alice", VideoInfo(4, 2, 9, 8.0), 1.0)
    lines = FileRecord("file-2", "b.jsonl", "batch", "/up/2", 6, "cd", "", None, 2.0)
    ledger.files.add(video)
    ledger.files.add(lines)

    assert ledger.files.get("file-1") == video
    assert ledger.files.page() == [lines, video]
    assert ledger.files.page(after="file-2") == [video]
    assert ledger.files.page(newest_first=False) == [video, lines]
    assert ledger.files.page(purpose="batch") == [lines]
    assert ledger.files.delete("file-1") == video
    assert ledger.files.delete("file-1") is None


def test_a_revoked_key_opens_nothing(ledger: Ledger) -> None:
    ledger.api_keys.add("alice", "00" * 32)

    assert ledger.api_keys.name_of("00" * 32) == "alice"
    assert ledger.api_keys.name_of("11" * 32) is None
    with pytest.raises(ConflictError, match="choose another name"):
        ledger.api_keys.add("alice", "11" * 32)
    assert ledger.api_keys.revoke("alice")
    assert not ledger.api_keys.revoke("alice")
    assert ledger.api_keys.name_of("00" * 32) is None
    (key,) = ledger.api_keys.all()
    assert key.name == "alice"


def test_figures_of_the_past(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([a_run("a"), a_run("b")])
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


def test_the_queue_is_counted_by_kind(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a"), a_run("b"), a_run("c")])
    claim(ledger, "a")

    assert [(count.state, count.runs, count.predicted_seconds) for count in ledger.reports.shapes()] == [
        (State.QUEUED, 2, 0),
        (State.LEASED, 1, 6),
    ]


def test_an_older_ledger_is_brought_up_to_date_with_all_that_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    engine = create_engine(sqlite_url(path))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        upgrade(config, "0001")
    engine.dispose()
    with sqlite3.connect(path) as old:
        request = json.dumps(as_dict(resolved(Run(id="a", prompt="p", controls=(), video="/a.mp4"))))
        columns = "id, fingerprint, request, state, priority, cause, failures, created, updated"
        old.execute(f"INSERT INTO runs ({columns}) VALUES ('a', 'f', ?, 'queued', 7, '', 0, 1, 1)", [request])
        old.execute("INSERT INTO events (run, state, reason, at) VALUES ('a', 'queued', 'submitted', 1)")
    old.close()

    ledger = Ledger(path)

    (record,) = ledger.queries.waiting()
    assert (record.run.prompt, record.priority, record.facts) == ("p", 7, {})
    assert [change.reason for change in ledger.queries.history("a")] == ["submitted"]
    ledger.close()
