"""Opening a ledger that is damaged, newer, locked or not a file."""

from __future__ import annotations

import os
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url, text

from cosmos_batch.errors import LedgerError, RowError
from cosmos_batch.ledger import Ledger, State
from cosmos_batch.ledger.models import Submitted
from cosmos_batch.run import Annotations, ResolvedRun
from tests.support.ledger import make_run
from tests.support.postgres import PostgresServer

NUL = "a\0b"


def damage(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be one " * 100)


def make_newer(path: Path) -> None:
    Ledger(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE settings SET value = '9998' WHERE name = 'min_program'")
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


def test_newer_schema_that_knows_this_program_is_used(place: Path | URL) -> None:
    ledger = Ledger(place)
    with ledger.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    ledger.close()

    ledger = Ledger(place)

    assert ledger.runs.submit([make_run("a")]) == Submitted(1, 0, 0)
    ledger.close()


@pytest.mark.parametrize(
    "run", [make_run("a", prompt=NUL), replace(make_run("a"), annotations=Annotations(tags={"t": NUL}))]
)
def test_character_nul_is_refused(ledger: Ledger, run: ResolvedRun) -> None:
    with pytest.raises(RowError, match="character NUL"):
        ledger.runs.submit([run])


def test_text_that_spells_an_escape_is_stored(ledger: Ledger) -> None:
    ledger.runs.submit([make_run("a", prompt="a\\u0000b")])

    (record,) = ledger.queries.waiting()
    assert record.run.prompt == "a\\u0000b"


def test_missing_driver_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(LedgerError, match=r"pip install 'cosmos-batch\[postgres\]'"):
        Ledger(make_url("postgresql://user@127.0.0.1/name"))


@pytest.mark.postgres
def test_server_that_does_not_answer_is_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be reached") as raised:
        Ledger(make_url(f"postgresql://user:secret@/name?host={tmp_path}"))

    assert "secret" not in str(raised.value)


@pytest.mark.postgres
def test_missing_database_is_named(postgres: PostgresServer) -> None:
    with postgres.database() as url, pytest.raises(LedgerError, match="createdb"):
        Ledger(url.set(database="elsewhere"))


@pytest.mark.postgres
def test_ended_connection_is_replaced(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        ledger, other = Ledger(url), Ledger(url)
        ledger.runs.submit([make_run("a")])
        with other.database.write() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                    " AND datname = current_database()"
                )
            )

        assert ledger.queries.states() == {State.QUEUED: 1}
        ledger.close()
        other.close()


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
