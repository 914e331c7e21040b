"""Transactions, and state changes that are recorded in the history of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Table, and_, insert, or_, select, update

from cosmos_batch.ledger.database.connection import (
    BUSY_SECONDS,
    connect,
    ledger_errors,
    locked,
    readable,
    sqlite_url,
)
from cosmos_batch.ledger.database.schema import events, runs
from cosmos_batch.ledger.models import CANCEL, WAITING, State

_T = TypeVar("_T")
CHUNK = 500  # ids in one statement; databases limit the number of parameters


class Database:
    """Opens read and write transactions and changes the state of runs."""

    def __init__(
        self, place: Path | URL, clock: Callable[[], float] = time.time, busy: float = BUSY_SECONDS
    ) -> None:
        """Open the database in a file or at a URL. A missing database is created, an old one is migrated.

        `busy`: seconds to wait for another process that writes. Raises LedgerError, as all transactions do.
        """
        url = sqlite_url(place) if isinstance(place, Path) else place
        self._name = readable(url)
        self.clock = clock
        self._reader = connect(url, busy)
        self._writer = self._reader.execution_options(writes=True)
        self._busy = busy
        self._turn = Lock() if self._reader.dialect.name == "sqlite" else None

    def close(self) -> None:
        """Close the database."""
        self._reader.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that reads and writes."""
        with ledger_errors(self._name), self._in_turn(), self._writer.begin() as connection:
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
            yield connection

    def change(
        self, connection: Connection, ids: Sequence[str], state: State, reason: str, **values: object
    ) -> None:
        """Set the state of runs, with other columns, and record the change."""
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
            connection.execute(insert(events), rows)


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
