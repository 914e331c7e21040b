"""Transactions of the threads of one process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cosmos_batch.errors import LedgerError
from cosmos_batch.ledger import (
    Ledger,
    State,
)
from cosmos_batch.ledger.models import Submitted
from tests.support.ledger import make_run


def test_writer_gives_up_on_a_ledger_that_another_thread_locks(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite", busy=0.05)
    with ThreadPoolExecutor(1) as pool, ledger.database.write(), pytest.raises(LedgerError, match="locked"):
        pool.submit(ledger.runs.submit, [make_run("late")]).result()

    assert ledger.runs.submit([make_run("a")]) == Submitted(1, 0, 0)
    assert ledger.queries.states() == {State.QUEUED: 1}
    ledger.close()
