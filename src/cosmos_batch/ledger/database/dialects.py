"""What the ledger's databases do differently: time, locks, rows that may exist, and the order of state changes.

SQLite has one writer at a time, so that a transaction that writes sees no other and its state changes are in the
order of their ids. On Postgres many transactions write at once: rows are locked in one order, names are locked
before they are looked for, and the id of a state change begins with the number of its transaction.
"""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    Insert,
    Table,
    Text,
    bindparam,
    cast,
    extract,
    false,
    func,
    insert,
    select,
    text,
    true,
    update,
)

from cosmos_batch.errors import RowError
from cosmos_batch.ledger.database.schema import events

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
    from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
    from sqlalchemy.sql.base import ReadOnlyColumnCollection
    from sqlalchemy.sql.elements import KeyedColumnElement

    _Insert = SqliteInsert | PostgresInsert
    Columns = ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]

Stored = Callable[["Columns"], Mapping[str, Any]]
"""From the columns of the row that an insertion gives: those that a row that exists already gets."""

Time = float | ColumnElement[float]

EVENT_BITS = 20  # of an event's id on Postgres, for its place in its transaction
FIRST_TRANSACTION = 1 << 12  # of the numbers in ids: all are above the ids of 32 bits of earlier versions
_LOCKS = 256  # into which names are divided; more would take too many of the server's locks
_NAMES, _MIGRATION = 0x636F736D, 0x6D696772  # of the locks, so that they are not those of another program


class Dialect(Protocol):
    """One kind of database."""

    def time(self, clock: Callable[[], float], after: float) -> Time:
        """Return the time of a statement in seconds since 1970, `after` seconds added; leases are set by it."""

    def lock_rows(self, connection: Connection, column: Column[Any], keys: Collection[Any]) -> None:
        """Lock the rows whose unique `column` has one of the keys, in an order that all transactions keep."""

    def lock_names(self, connection: Connection, names: Iterable[str]) -> None:
        """Let no other transaction that locks one of these names go on until this one has ended.

        Call it once in a transaction, with all names, before the first of them is looked for.
        """

    def lock_migration(self, connection: Connection) -> None:
        """Let no other process migrate the schema until this transaction has ended."""

    def record(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert state changes, in this order. Raises RowError for too many in one transaction."""

    def settled(self) -> ColumnElement[bool]:
        """Return the condition that no state change with a lower id can appear any more."""

    def moved(self) -> ColumnElement[bool]:
        """Return whether the database was made on a server that had begun more transactions than this one."""

    def renumber(self, connection: Connection) -> None:
        """Give the state changes of a moved database ids below those that this server gives."""

    def insert_new(self, connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
        """Insert a row. Returns False, with no change, if there is one with its primary key."""

    def upsert(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], stored: Stored
    ) -> None:
        """Insert rows; a row whose primary key exists gets the columns of `stored`."""


class _Upserts:
    """Insertions of rows that may exist, in the words that both databases know."""

    def insert_new(self, connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
        """Insert a row unless its primary key exists, also by a transaction that ends in the meantime."""
        query = self._insert(table).values(row).on_conflict_do_nothing()
        return connection.execute(query.returning(*table.primary_key)).first() is not None

    def upsert(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], stored: Stored
    ) -> None:
        """Insert rows or change those that exist, in the order of their keys."""
        query, keys = self._insert(table), [column.name for column in table.primary_key]
        changed = query.on_conflict_do_update(index_elements=keys, set_=dict(stored(query.excluded)))
        connection.execute(changed, sorted(rows, key=lambda row: [row[key] for key in keys]))

    @abstractmethod
    def _insert(self, table: Table) -> _Insert:
        """Begin an insertion of this database."""


class SqliteDialect(_Upserts):
    """A file with one writer at a time."""

    def time(self, clock: Callable[[], float], after: float) -> Time:
        """Return the time of this machine, which all processes of the file share."""
        return clock() + after

    def lock_rows(self, connection: Connection, column: Column[Any], keys: Collection[Any]) -> None:
        """Do nothing: the transaction is the only one that writes."""

    def lock_names(self, connection: Connection, names: Iterable[str]) -> None:
        """Do nothing: the transaction is the only one that writes."""

    def lock_migration(self, connection: Connection) -> None:
        """Do nothing: the transaction is the only one that writes."""

    def record(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert state changes under ids that the database counts up."""
        connection.execute(insert(events), rows)

    def settled(self) -> ColumnElement[bool]:
        """Return a condition that always holds."""
        return true()

    def moved(self) -> ColumnElement[bool]:
        """Return a condition that never holds: the file counts its ids itself."""
        return false()

    def renumber(self, connection: Connection) -> None:
        """Do nothing: the file counts its ids itself."""

    def _insert(self, table: Table) -> _Insert:
        from sqlalchemy.dialects.sqlite import insert

        return insert(table)


class PostgresDialect(_Upserts):
    """A server with many writers at once.

    `own_time`: whether the server's clock is used in place of the caller's.
    """

    def __init__(self, *, own_time: bool) -> None:
        self._own_time = own_time

    def time(self, clock: Callable[[], float], after: float) -> Time:
        """Return the time of the server, which no process' clock changes."""
        return server_time() + after if self._own_time else clock() + after

    def lock_rows(self, connection: Connection, column: Column[Any], keys: Collection[Any]) -> None:
        """Lock rows in the order of the column: two transactions cannot wait for each other."""
        query = select(column).where(column.in_(keys)).order_by(column)
        connection.execute(query.with_for_update(key_share=True)).all()

    def lock_names(self, connection: Connection, names: Iterable[str]) -> None:
        """Take an advisory lock for each group of names, in the order of the groups."""
        groups = sorted({zlib.crc32(name.encode("utf-8", "surrogatepass")) % _LOCKS for name in names})
        if groups:
            connection.execute(_LOCK_GROUPS, {"space": _NAMES, "groups": groups})

    def lock_migration(self, connection: Connection) -> None:
        """Take an advisory lock."""
        connection.execute(select(func.pg_advisory_xact_lock(_NAMES, _MIGRATION)))

    def record(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert state changes under the number of the transaction and their place in it."""
        place = int(connection.info.get(_PLACE, 0))
        if place + len(rows) > 1 << EVENT_BITS:
            raise RowError(f"more than {1 << EVENT_BITS} state changes at once; ask for fewer at a time")
        connection.execute(_RECORD, [{**row, "place": place + index} for index, row in enumerate(rows)])
        connection.info[_PLACE] = place + len(rows)

    def settled(self) -> ColumnElement[bool]:
        """Return the condition that a change's transaction is older than every one that is still open."""
        oldest = func.pg_snapshot_xmin(func.pg_current_snapshot())
        return events.c.id < _first_id(_number(oldest))

    def moved(self) -> ColumnElement[bool]:
        """Return whether there are ids of transactions that this server has not begun yet."""
        following = _number(func.pg_snapshot_xmax(func.pg_current_snapshot()))
        return select(func.max(events.c.id)).scalar_subquery() >= _first_id(following)

    def renumber(self, connection: Connection) -> None:
        """Number the state changes from 1 on, in their order."""
        ranked = select(events.c.id, func.row_number().over(order_by=events.c.id).label("rank")).subquery()
        below = update(events).where(events.c.id == ranked.c.id).values(id=-ranked.c.rank)
        connection.execute(below)  # no id is given twice on the way
        connection.execute(update(events).values(id=-events.c.id))

    def _insert(self, table: Table) -> _Insert:
        from sqlalchemy.dialects.postgresql import insert  # takes long, and few processes need it

        return insert(table)


def begin(connection: Connection) -> None:
    """Count the state changes of a transaction from 0."""
    connection.info.pop(_PLACE, None)


def server_time() -> ColumnElement[float]:
    """Return the present time of a Postgres server, also within a long transaction."""
    return cast(extract("epoch", func.clock_timestamp()), Double)


def _number(transaction: ColumnElement[Any]) -> ColumnElement[int]:
    """A transaction's number, whose type xid8 has no cast to a number."""
    return cast(cast(transaction, Text), BigInteger)


def _first_id(transaction: ColumnElement[int]) -> ColumnElement[int]:
    """The id of the first state change of a transaction."""
    return (transaction + FIRST_TRANSACTION) * (1 << EVENT_BITS)


_PLACE = "cosmos_batch_event"  # of a connection's `info`: state changes of the transaction so far
_OWN = _first_id(_number(func.pg_current_xact_id()))
_RECORD: Insert = insert(events).values(id=_OWN + bindparam("place", type_=BigInteger))
_LOCK_GROUPS = text("SELECT pg_advisory_xact_lock(:space, each) FROM unnest(CAST(:groups AS int[])) AS each")
