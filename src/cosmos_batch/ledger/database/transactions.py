"""What every part of the ledger stands on: transactions, and changes of state that leave a trace."""

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
from cosmos_batch.ledger.models import CANCEL, State

_T = TypeVar("_T")
CHUNK = 500  # ids in one statement: databases bound the number of parameters


class Database:
    """The ledger's database: read and write transactions, and the changes of state that every component makes."""

    def __init__(
        self, place: Path | URL, clock: Callable[[], float] = time.time, busy: float = BUSY_SECONDS
    ) -> None:
        """Open the ledger in a file or at a URL; a new one is made, an old one brought up to date.

        `busy`: how long, in seconds, to wait for another process that writes. Raises LedgerError, as everything
        that reads or writes does.
        """
        url = sqlite_url(place) if isinstance(place, Path) else place
        self._name = readable(url)
        self.clock = clock
        self._reader = connect(url, busy)
        self._writer = self._reader.execution_options(writes=True)
        self._busy = busy
        self._turn = Lock() if self._reader.dialect.name == "sqlite" else None

    def close(self) -> None:
        """Let go of the database."""
        self._reader.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with ledger_errors(self._name), self._in_turn(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """One thread of this process after the other: SQLite lets one write, and has the others sleep and try
        again, some of them for long.
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
        with ledger_errors(self._name), self._reader.connect() as connection:
            yield connection

    def change(
        self, connection: Connection, ids: Sequence[str], state: State, reason: str, **values: object
    ) -> None:
        query = update(runs).where(runs.c.id.in_(ids))
        connection.execute(query.values(state=state, cause=reason, updated=self.clock(), **values))
        self.note(connection, ids, state, reason)

    def release(
        self, connection: Connection, ids: Sequence[str], state: State, reason: str, **values: object
    ) -> None:
        """Let runs go that a worker had: into `state`, but for those that wait again though nobody wants them."""
        unwanted: set[str] = set()
        if state in (State.QUEUED, State.PREEMPTED):
            wished = select(runs.c.id).where(runs.c.id.in_(ids), runs.c.requested_action == CANCEL)
            unwanted = set(connection.scalars(wished))
        if rest := [id_ for id_ in ids if id_ not in unwanted]:
            self.change(connection, rest, state, reason, requested_action="", **values)
        if unwanted:
            self.change(connection, sorted(unwanted), State.CANCELLED, "cancelled", requested_action="", **values)

    def note(self, connection: Connection, ids: Iterable[str], state: State, reason: str) -> None:
        now = self.clock()
        rows = [{"run": id_, "state": state, "reason": reason, "at": now} for id_ in ids]
        if rows:
            connection.execute(insert(events), rows)


def chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    """The items, in lists that fit into one statement."""
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


class Component:
    """A part of the ledger. Every public method is one transaction and raises LedgerError."""

    def __init__(self, database: Database) -> None:
        """All components of a ledger share one database."""
        self._db = database


def created_after(table: Table, mark: str, newest_first: bool) -> Any:
    """The condition that a row comes after the row of that id, by the time at which it was made."""
    made = select(table.c.created).where(table.c.id == mark).scalar_subquery()
    if newest_first:
        return or_(table.c.created < made, and_(table.c.created == made, table.c.id < mark))
    return or_(table.c.created > made, and_(table.c.created == made, table.c.id > mark))
