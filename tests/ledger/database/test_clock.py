"""The time of a database server, and leases by it."""

from __future__ import annotations

import time

import pytest

from cosmos_batch.ledger import Ledger
from tests.support.ledger import claim, make_run
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.postgres


def test_leases_do_not_depend_on_the_clock_of_a_process(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres.database() as url:
        right = Ledger(url)
        right.runs.submit([make_run("a")])
        claim(right, "a")
        correct = time.time
        monkeypatch.setattr(time, "time", lambda: correct() + 150)

        ahead = Ledger(url)

        assert ahead.queue.reclaim("expired") == []
        assert ahead.now() == pytest.approx(correct(), abs=30)
        right.close()
        ahead.close()
