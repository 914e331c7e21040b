"""Opening a ledger that is damaged, newer, locked or not a file."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from cosmos_batch.errors import LedgerError
from cosmos_batch.ledger import (
    Ledger,
)
from cosmos_batch.ledger.models import Submitted
from tests.support.ledger import make_run


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
def test_unusable_ledger_names_a_remedy(tmp_path: Path, prepare: object, message: str) -> None:
    path = tmp_path / "ledger.sqlite"
    assert callable(prepare)
    prepare(path)

    with pytest.raises(LedgerError, match=message):
        Ledger(path)


def test_writer_gives_up_on_a_ledger_that_another_process_locks(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path, busy=0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(LedgerError, match="locked by another process"):
        ledger.runs.submit([make_run("a")])

    holder.execute("ROLLBACK")
    holder.close()
    assert ledger.runs.submit([make_run("a")]) == Submitted(1, 0, 0)
    ledger.close()


def test_schema_of_another_version_is_named_as_the_cause(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    with sqlite3.connect(path) as newer:  # as a newer version would migrate it
        newer.execute("ALTER TABLE runs RENAME COLUMN cause TO why")
        newer.execute("ALTER TABLE settings RENAME TO options")
    newer.close()

    with pytest.raises(LedgerError, match="changed by another version of cosmos-batch"):
        ledger.runs.submit([make_run("a")])
    with pytest.raises(LedgerError, match="changed by another version of cosmos-batch"):
        ledger.settings.mode()
    ledger.close()
