"""Transactions, and state changes that are recorded in the history of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Table, and_, or_, select, update

from cosmos_batch.ledger.database.clock import ServerClock
from cosmos_batch.ledger.database.connection import BUSY_SECONDS, connect, dialect_of, readable, sqlite_url
from cosmos_batch.ledger.database.dialects import Time, begin
from cosmos_batch.ledger.database.messages import ledger_errors, locked
from cosmos_batch.ledger.database.schema import runs
from cosmos_batch.ledger.models import CANCEL, WAITING, State

_T = TypeVar("_T")
CHUNK = 500  # ids in one statement; databases limit the number of parameters


class Database:
    """Opens read and write transactions and changes the state of runs."""

    def __init__(
        self, place: Path | URL, clock: Callable[[], float] | None = None, busy: float = BUSY_SECONDS
    ) -> None:
        """Open the database in a file or at a URL. A missing schema is created, an old one is migrated.

        `clock`: seconds since 1970; None: the clock of the database's server, in a file that of this machine.
        `busy`: seconds to wait for another process that writes. Raises LedgerError, as all transactions do.
        """
        url = sqlite_url(place) if isinstance(place, Path) else place
        self._name = readable(url)
        self._reader = connect(url, busy)
        self._writer = self._reader.execution_options(writes=True)
        self._busy = busy
        in_file = self._reader.dialect.name == "sqlite"
        self._turn = Lock() if in_file else None
        self._server_clock = ServerClock() if clock is None and not in_file else None
        self.clock = clock or self._server_clock or time.time
        self.dialect = dialect_of(self._reader, own_time=clock is None)
        with self.read():
            pass  # reads the server's clock

    def close(self) -> None:
        """Close the database."""
        self._reader.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that reads and writes."""
        with ledger_errors(self._name), self._in_turn(), self._writer.begin() as connection:
            begin(connection)
            self._read_server_clock(connection)
            yield connection

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Let one thread of this process write at a time.

        SQLite has one writer. Other writers sleep and try again, without an order, some for a long time.
        """
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=self._busy):
            raise locked(self._name)
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads."""
        with ledger_errors(self._name), self._reader.connect() as connection:
            self._read_server_clock(connection)
            yield connection

    def _read_server_clock(self, connection: Connection) -> None:
        if self._server_clock is not None:
            self._server_clock.read_when_due(connection)

    def time(self, after: float = 0.0) -> Time:
        """Return the time of a statement in seconds since 1970, `after` seconds added.

        Leases are set and compared by it: where the database has a clock, it is that one.
        """
        return self.dialect.time(self.clock, after)

    def change(
        self, connection: Connection, ids: Sequence[str], state: State, reason: str, **values: object
    ) -> None:
        """Set the state of runs, with other columns, and record the change."""
        if len(ids) > 1:
            self.dialect.lock_rows(connection, runs.c.id, ids)
        query = update(runs).where(runs.c.id.in_(ids))
        connection.execute(query.values(state=state, cause=reason, updated=self.clock(), **values))
        self.record(connection, ids, state, reason)

    def release(
        self, connection: Connection, ids: Sequence[str], state: State, reason: str, **values: object
    ) -> None:
        """Release claimed runs into `state`; of a waiting state, runs with a cancel request become CANCELLED."""
        cancelled: set[str] = set()
        if state in WAITING:
            requested = select(runs.c.id).where(runs.c.id.in_(ids), runs.c.requested_action == CANCEL)
            cancelled = set(connection.scalars(requested))
        if rest := [id_ for id_ in ids if id_ not in cancelled]:
            self.change(connection, rest, state, reason, requested_action="", **values)
        if cancelled:
            self.change(connection, sorted(cancelled), State.CANCELLED, "cancelled", requested_action="", **values)

    def record(self, connection: Connection, ids: Iterable[str], state: State, reason: str) -> None:
        """Record a state of runs in their history."""
        now = self.clock()
        rows = [{"run": id_, "state": state, "reason": reason, "at": now} for id_ in ids]
        if rows:
            self.dialect.record(connection, rows)


def chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    """Split items into lists that fit into one statement."""
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


class Component:
    """A component of the ledger. Every public method is one transaction and raises LedgerError."""

    def __init__(self, database: Database) -> None:
        """Use a database, which the components of a ledger share."""
        self._db = database


def created_after(table: Table, mark: str, newest_first: bool) -> Any:
    """Return the condition that a row comes after the row with the id `mark`, by the time of its creation."""
    made = select(table.c.created).where(table.c.id == mark).scalar_subquery()
    if newest_first:
        return or_(table.c.created < made, and_(table.c.created == made, table.c.id < mark))
    return or_(table.c.created > made, and_(table.c.created == made, table.c.id > mark))
