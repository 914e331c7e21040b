"""State changes of transactions that overlap."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from cosmos_batch.ledger import Ledger, State
from tests.support.ledger import make_run
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.postgres


def test_change_that_is_committed_late_is_not_skipped(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        ledger, other = Ledger(url), Ledger(url)
        ledger.runs.submit([make_run("a"), make_run("b")])
        start = ledger.queries.latest_change()
        with ledger.database.write() as slow:
            ledger.database.record(slow, ["a"], State.QUEUED, "slow")
            other.runs.reprioritise(["b"], 3)
            assert other.queries.changes(start) == []
            assert other.queue.poll().latest == start

        changes = other.queries.changes(start)
        assert [(change.run, change.reason) for change in changes] == [("a", "slow"), ("b", "priority is now 3")]
        assert other.queue.poll().latest == changes[-1].id
        ledger.close()
        other.close()


def test_changes_of_one_transaction_keep_their_order(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        ledger = Ledger(url)
        with ledger.database.write():
            pass  # an earlier transaction of the same connection
        ledger.runs.submit([make_run(f"r{index}") for index in range(7)])

        first = ledger.queries.changes(0, limit=4)
        rest = ledger.queries.changes(first[-1].id, limit=4)

        assert [change.run for change in first + rest] == [f"r{index}" for index in range(7)]
        ledger.close()


def test_changes_of_a_moved_database_come_before_new_ones(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        ledger = Ledger(url)
        ledger.runs.submit([make_run("a"), make_run("b")])
        with ledger.database.write() as connection:  # as on a server that has counted many more transactions
            connection.execute(text("UPDATE events SET id = id + (1::bigint << 55)"))
        ledger.close()

        ledger = Ledger(url)
        ledger.runs.submit([make_run("c")])

        assert [change.run for change in ledger.queries.changes(0)] == ["a", "b", "c"]
        ledger.close()
