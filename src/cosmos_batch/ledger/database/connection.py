"""Connection to the ledger's database: settings of its driver, migrations, and values that no database may get."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from cosmos_batch.errors import LedgerError, RowError
from cosmos_batch.ledger.database.dialects import Dialect, PostgresDialect, SqliteDialect
from cosmos_batch.ledger.database.messages import ledger_errors
from cosmos_batch.ledger.database.schema import settings

DATABASES = ("sqlite", "postgresql", "postgres")  # kinds of databases, as their URLs begin
BUSY_SECONDS = 15.0  # how long a writer waits for another writer
MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0014"  # the latest migration
OLDEST_PROGRAM = "0009"  # the `HEAD` of the oldest program that can work with the schema of this one
MIN_PROGRAM = "min_program"  # the setting that says so in the database, for programs older than its schema

# Of Postgres' driver, unless the URL gives others: a server or a network that does not answer is noticed within
# half a minute, which is less than the time of a lease.
_POSTGRES = {
    "application_name": "cosmos-batch",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}
_STUCK_SECONDS = 30  # after which the server ends the transaction of a process that does not go on
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # in JSON


def sqlite_url(path: Path) -> URL:
    """Return the URL of a ledger in a file."""
    return URL.create("sqlite", database=str(path))


def connect(url: URL, busy: float = BUSY_SECONDS) -> Engine:
    """Open an engine on the database and migrate its schema. Raises LedgerError.

    `busy`: seconds that a writer waits for the lock of another.
    """
    engine = _postgres(url, busy) if _is_postgres(url) else _sqlite(url, busy)
    event.listen(engine, "before_cursor_execute", _refuse_nul)
    try:
        with ledger_errors(readable(url)):
            _migrate(engine, readable(url))
    except LedgerError:
        engine.dispose()
        raise
    return engine


def dialect_of(engine: Engine, *, own_time: bool) -> Dialect:
    """Return what is particular to the database; `own_time`: its clock is used, where it has one."""
    return PostgresDialect(own_time=own_time) if engine.dialect.name == "postgresql" else SqliteDialect()


def readable(url: URL) -> str:
    """Return the name of the database for messages, without a password."""
    return url.render_as_string(hide_password=True) if _is_postgres(url) else url.database or ""


def _is_postgres(url: URL) -> bool:
    return url.get_backend_name() in DATABASES[1:]


def _sqlite(url: URL, busy: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": busy}, json_serializer=_to_json)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


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


def _postgres(url: URL, busy: float) -> Engine:
    """Make the engine of a server. A connection that the server has ended is replaced before it is used."""
    given = {name: value for name, value in _POSTGRES.items() if name not in url.query}
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=given,
            json_serializer=_to_json,
            pool_pre_ping=True,
        )
    except ImportError as exc:
        remedy = "install it with: pip install 'cosmos-batch[postgres]'"
        raise LedgerError(f"the ledger {readable(url)} needs the package psycopg; {remedy}") from exc
    waits = {"lock_timeout": busy, "idle_in_transaction_session_timeout": _STUCK_SECONDS}

    def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for name, seconds in waits.items():
            cursor.execute(f"SET {name} = {int(seconds * 1000)}")
        cursor.close()
        connection.commit()

    event.listen(engine, "connect", prepare)
    return engine


def _refuse_nul(_connection: Connection, _cursor: Any, _statement: str, values: Any, *_more: object) -> None:
    """Refuse the character NUL, which Postgres does not store, on every database. Raises RowError."""
    for row in values if isinstance(values, list) else (values,):
        for value in row.values() if isinstance(row, Mapping) else row:
            if isinstance(value, str) and "\0" in value:
                raise _nul(value)


def _to_json(value: object) -> str:
    """Write JSON without the character NUL, which Postgres stores and cannot search. Raises RowError."""
    text = json.dumps(value)
    if "\\u0000" in text and _NUL.search(text):
        raise _nul(text)
    return text


def _nul(text: str) -> RowError:
    return RowError(f"the ledger cannot store a text with the character NUL, {text[:60]!r}; leave it out")


def _migrate(engine: Engine, name: str) -> None:
    """Migrate the schema in one transaction: two processes cannot both do it, and an interruption undoes it."""
    dialect = dialect_of(engine, own_time=False)
    with engine.connect() as connection:
        if _fits(connection, name) and not connection.scalar(select(dialect.moved())):
            return
    # imported here: it takes long, and few processes need it
    from alembic.command import upgrade
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.execution_options(writes=True).begin() as connection:
        dialect.lock_migration(connection)
        if not _fits(connection, name):  # else another process has migrated it
            config.attributes["connection"] = connection
            upgrade(config, "head")
            _store_oldest_program(connection, dialect)
        if connection.scalar(select(dialect.moved())):
            dialect.renumber(connection)


def _store_oldest_program(connection: Connection, dialect: Dialect) -> None:
    row = {"name": MIN_PROGRAM, "value": OLDEST_PROGRAM, "updated": time.time()}
    dialect.upsert(connection, settings, [row], lambda new: {"value": new["value"], "updated": new["updated"]})


def _fits(connection: Connection, name: str) -> bool:
    """Whether this program can work with the schema as it is; False: it is older. Raises LedgerError."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    current = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if current is None or current < HEAD:
        return False
    if current == HEAD:
        return True
    oldest = connection.scalar(select(settings.c.value).where(settings.c.name == MIN_PROGRAM))
    if oldest is not None and oldest <= HEAD:
        return True
    raise LedgerError(
        f"the ledger {name} is of a version that this cosmos-batch does not know (schema {current}, and this"
        f" program knows those up to {HEAD}); install the version of cosmos-batch that has made it, or a later one"
    )
