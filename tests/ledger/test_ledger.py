"""The ledger: what it keeps, who gets which run, and what it says when it cannot."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from cosmos_batch.errors import LedgerError
from cosmos_batch.ledger import Ledger, State, Submission, Submitted
from cosmos_batch.ledger.database.connection import HEAD, MIGRATIONS, sqlite_url
from cosmos_batch.ledger.database.schema import metadata
from cosmos_batch.planning.cost.model import Measurement
from cosmos_batch.planning.traits import VideoInfo
from cosmos_batch.run import Priority
from tests.ledger.conftest import FACTS, SHAPE, Clock, a_run, claim


def test_the_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    engine = create_engine(sqlite_url(path))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_runs_come_back_as_they_were_submitted_most_urgent_first(ledger: Ledger, clock: Clock) -> None:
    emoji = a_run("late", prompt="snow \N{SNOWMAN} 🚗\nsecond line")
    ledger.runs.submit([a_run("early")])
    clock.now += 1
    ledger.runs.submit([emoji, a_run("urgent", priority=Priority.URGENT)])

    waiting = ledger.queries.waiting()

    assert [record.id for record in waiting] == ["urgent", "early", "late"]
    assert waiting[2].run == emoji
    assert [record.id for record in ledger.queries.waiting({"late"})] == ["late"]


def test_requests_are_read_as_they_were_submitted(ledger: Ledger) -> None:
    facts = {"/in/edge.mp4": VideoInfo(64, 32, 9, 8.0)}
    odd = replace(a_run("odd", prompt="\N{SNOWMAN} and 🚗"), video="/in/no utf-8: \udcff.mp4")
    ledger.runs.accept([Submission(a_run("plain"), facts), Submission(odd)])

    plain, strange = sorted(
        ledger.queries.requests(["odd", "plain", "unknown"]), key=lambda each: each.id, reverse=True
    )

    assert (plain.run, plain.fingerprint, plain.facts) == (a_run("plain"), a_run("plain").fingerprint, facts)
    assert (strange.run, strange.facts) == (odd, {})


def test_the_same_request_again_changes_nothing_and_another_is_queued_anew(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a"), a_run("b")])
    ledger.runs.settle(["a", "b"], State.SUCCEEDED, "made")

    again = ledger.runs.submit([a_run("a"), a_run("b", prompt="other"), a_run("c")])

    assert again == Submitted(new=1, changed=1, known=1)
    assert {s.id: s.state for s in ledger.queries.statuses()} == {
        "a": State.SUCCEEDED,
        "b": State.QUEUED,
        "c": State.QUEUED,
    }


def test_a_new_priority_of_a_known_request_counts(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a"), a_run("b")])

    ledger.runs.submit([a_run("b", priority=Priority.HIGH)])

    assert [record.id for record in ledger.queries.waiting()] == ["b", "a"]


def test_a_run_is_claimed_once(tmp_path: Path, ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a"), a_run("b"), a_run("c")])
    other = Ledger(tmp_path / "ledger.sqlite")

    first = claim(ledger, "a", "b")
    second = other.queue.claim(["b", "c"], FACTS, "w2", lease=60)
    third = other.queue.claim(["a", "b"], FACTS, "w2", lease=60)

    assert set(first.attempts) == {"a", "b"}
    assert second is not None
    assert set(second.attempts) == {"c"}
    assert third is None
    assert ledger.queries.waiting() == []
    other.close()


def test_an_attempt_ends_once(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a")])
    attempt = claim(ledger, "a").attempts["a"]

    assert ledger.attempts.finish(attempt, State.FAILED, "broke", failure=True)
    assert not ledger.attempts.finish(attempt, State.SUCCEEDED)

    record = ledger.queries.get("a")
    assert record is not None
    assert (record.state, record.cause, record.failures) == (State.FAILED, "broke", 1)


def test_a_lapsed_lease_gives_the_run_back_and_its_worker_is_not_believed_any_more(
    ledger: Ledger, clock: Clock
) -> None:
    ledger.runs.submit([a_run("a"), a_run("b")])
    lapsed, renewed = claim(ledger, "a").attempts["a"], claim(ledger, "b").attempts["b"]
    clock.now += 50
    ledger.attempts.progress({renewed: (3, 35)}, lease=60)
    clock.now += 20

    assert ledger.queue.reclaim("its lease ran out") == ["a"]

    assert not ledger.attempts.finish(lapsed, State.SUCCEEDED)
    assert ledger.attempts.finish(renewed, State.SUCCEEDED)
    assert ledger.queries.states() == {State.QUEUED: 1, State.SUCCEEDED: 1}


def test_every_run_of_dead_workers_comes_back_at_once(ledger: Ledger) -> None:
    ledger.runs.submit([a_run("a"), a_run("b"), a_run("c")])
    claim(ledger, "a", "b")
    ledger.attempts.begin(["a"])

    assert ledger.queue.reclaim("gone", everyone=True) == ["a", "b"]

    assert ledger.queries.states() == {State.QUEUED: 3}


def test_every_change_is_kept_with_its_reason_and_time(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.submit([a_run("a")])
    attempt = claim(ledger, "a").attempts["a"]
    clock.now += 5
    ledger.attempts.begin(["a"])
    ledger.attempts.progress({attempt: (35, 35)}, lease=60)
    clock.now += 30
    ledger.attempts.finish(attempt, State.BLOCKED, "the guardrail refused the prompt")
    ledger.attempts.end_batch(1)

    assert [(change.state, change.reason, change.at) for change in ledger.queries.history("a")] == [
        (State.QUEUED, "submitted", 1000),
        (State.LEASED, "in batch 1", 1000),
        (State.RUNNING, "joined", 1005),
        (State.BLOCKED, "the guardrail refused the prompt", 1035),
    ]
    (kept,) = ledger.queries.attempts("a")
    assert (kept.worker, kept.step, kept.steps, kept.outcome) == ("w1", 35, 35, State.BLOCKED)
    (standing,) = ledger.queries.statuses()
    assert (standing.seconds, standing.step, standing.steps) == (35, 35, 35)


def test_measurements_and_limits_belong_to_an_engine_on_a_device(ledger: Ledger) -> None:
    measured = Measurement(engine="pocket", device="cpu", kind="batch", seconds=3.5, runs=2, predicted_seconds=3.0)
    ledger.measurements.add(measured)
    ledger.measurements.add_limit("pocket", "cpu", SHAPE, 4)
    ledger.measurements.add_limit("pocket", "cpu", SHAPE, 2)

    assert ledger.measurements.latest("pocket", "cpu") == [measured]
    assert ledger.measurements.latest("pocket", "h100") == []
    assert ledger.measurements.limits("pocket", "cpu") == {SHAPE: 2}
    assert ledger.measurements.limits("transfer", "cpu") == {}


def test_many_runs_go_through(ledger: Ledger) -> None:
    runs = [a_run(f"r{index}") for index in range(1201)]  # more than two statements' worth

    assert ledger.runs.submit(runs) == Submitted(1201, 0, 0)
    ledger.runs.settle([run.id for run in runs], State.CANCELLED, "not wanted any more")

    assert ledger.queries.states() == {State.CANCELLED: 1201}


def damage(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be one " * 100)


def make_newer(path: Path) -> None:
    Ledger(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def put_a_folder_there(path: Path) -> None:
    os.mkdir(path)  # noqa: PTH102 - reads like the others


@pytest.mark.parametrize(
    ("prepare", "message"),
    [(damage, "move it away"), (make_newer, "does not know"), (put_a_folder_there, "cannot be opened")],
)
def test_an_unusable_ledger_says_what_would_do(tmp_path: Path, prepare: object, message: str) -> None:
    path = tmp_path / "ledger.sqlite"
    assert callable(prepare)
    prepare(path)

    with pytest.raises(LedgerError, match=message):
        Ledger(path)


def test_a_ledger_that_another_process_keeps_locked_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path, busy=0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(LedgerError, match="locked by another process"):
        ledger.runs.submit([a_run("a")])

    holder.execute("ROLLBACK")
    holder.close()
    assert ledger.runs.submit([a_run("a")]) == Submitted(1, 0, 0)
    ledger.close()


def test_a_thread_whose_turn_does_not_come_gives_up_like_a_process(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite", busy=0.05)
    with ThreadPoolExecutor(1) as pool, ledger.database._in_turn(), pytest.raises(LedgerError, match="locked"):
        pool.submit(ledger.runs.submit, [a_run("late")]).result()

    assert ledger.runs.submit([a_run("a")]) == Submitted(1, 0, 0)
    assert ledger.queries.states() == {State.QUEUED: 1}
    ledger.close()


def test_the_ledger_knows_its_latest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    assert ScriptDirectory.from_config(config).get_current_head() == HEAD
