"""Connection to the ledger's database: SQLite settings, migrations, and readable errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from cosmos_batch.errors import LedgerError, RowError

BUSY_SECONDS = 15.0  # how long a writer waits for another writer
MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0008"  # the latest migration

_OTHER_VERSION = "has been changed by another version of cosmos-batch; end this process and start that version"

# Part of a driver's message -> what the user should know and do.
_MEANINGS = (
    ("malformed", "is damaged; move it away: finished outputs are found again by their run.json"),
    ("not a database", "is not a ledger; move it away: finished outputs are found again by their run.json"),
    (
        "locked",
        "has been locked by another process for too long; end that process, or wait for it",
    ),
    ("readonly", "cannot be written; make it and its folder writable"),
    ("read-only", "cannot be written; make it and its folder writable"),
    ("no such table", _OTHER_VERSION),
    ("no such column", _OTHER_VERSION),
    ("no column named", _OTHER_VERSION),
    ("unable to open", "cannot be opened; make its folder exist and be writable"),
    ("full", "cannot grow: the disk is full; free some space"),
    ("disk i/o", "cannot be read or written: the disk reports an error, is full or is gone"),
)


def sqlite_url(path: Path) -> URL:
    """Return the URL of a ledger in a file."""
    return URL.create("sqlite", database=str(path))


@contextmanager
def ledger_errors(name: str) -> Iterator[None]:
    """Turn database errors into a LedgerError with a remedy."""
    try:
        yield
    except (OverflowError, UnicodeEncodeError) as exc:  # the driver refuses a value
        raise RowError(f"the ledger {name} cannot store a value: {exc}") from exc
    except SQLAlchemyError as exc:
        origin = str(exc.orig if isinstance(exc, DBAPIError) else exc)
        if isinstance(exc, DataError | IntegrityError) or not isinstance(exc, DBAPIError):
            raise RowError(f"the ledger {name} cannot store a value: {origin}") from exc
        raise LedgerError(_explain(name, origin)) from exc
    except sqlite3.Error as exc:  # raised while a connection is being set up
        raise LedgerError(_explain(name, str(exc))) from exc


def locked(name: str) -> LedgerError:
    """Return the error of a writer that waited too long."""
    return LedgerError(_explain(name, "database is locked"))


def _explain(name: str, origin: str) -> str:
    meaning = next((text for sign, text in _MEANINGS if sign in origin.lower()), None)
    return f"the ledger {name} {meaning} ({origin})" if meaning else f"the ledger {name} failed: {origin}"


def connect(url: URL, busy: float = BUSY_SECONDS) -> Engine:
    """Open an engine on the database and migrate its schema. Raises LedgerError.

    `busy`: seconds that a writer waits for the lock of SQLite.
    """
    engine = create_engine(url, connect_args=_arguments(url, busy))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        with ledger_errors(readable(url)):
            _migrate(engine, readable(url))
    except LedgerError:
        engine.dispose()
        raise
    return engine


def readable(url: URL) -> str:
    """Return the name of the database for messages, without a password."""
    return url.database or "" if url.drivername == "sqlite" else url.render_as_string(hide_password=True)


def _arguments(url: URL, busy: float) -> dict[str, Any]:
    return {"timeout": busy} if url.drivername == "sqlite" else {}


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver begins no transaction; _begin_sqlite does
    cursor = connection.cursor()
    # FULL: a commit is on the disk, so that a power cut loses no accepted run
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once if another wrote in between. With IMMEDIATE
    # it waits for its turn to write before it reads.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(engine: Engine, name: str) -> None:
    """Migrate the schema in one transaction: two processes cannot both do it, and an interruption undoes it."""
    with engine.connect() as connection:
        if inspect(connection).has_table("alembic_version"):
            current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            if current == HEAD:
                return
    # imported here: it takes long, and few processes need it
    from alembic.command import upgrade
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        with engine.execution_options(writes=True).begin() as connection:
            config.attributes["connection"] = connection
            upgrade(config, "head")
    except CommandError as exc:
        raise LedgerError(
            f"the ledger {name} is of a version that this cosmos-batch does not know ({exc})"
        ) from exc
