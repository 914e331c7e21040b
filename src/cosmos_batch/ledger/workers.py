"""What a service keeps beside its runs: orders, files, keys, its mode, and how its workers are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Table, and_, delete, func, insert, or_, select, update

from cosmos_batch.errors import ConflictError
from cosmos_batch.ledger.models import State
from cosmos_batch.ledger.queue import MODE
from cosmos_batch.ledger.schema import controls, files, keys, orders, runs, workers
from cosmos_batch.ledger.service_models import (
    BatchJobRecord,
    BatchJobState,
    FileRecord,
    KeyRecord,
    Mode,
    WorkerRecord,
    WorkerState,
)
from cosmos_batch.ledger.transactions import Database


class Orders(Database):
    """What the Batches API calls batches."""

    def add_order(self, order: BatchJobRecord) -> None:
        """Keep a new order."""
        with self._write() as connection:
            connection.execute(insert(orders).values(asdict(order)))

    def order(self, order_id: str) -> BatchJobRecord | None:
        """One order; None if there is no such."""
        with self._read() as connection:
            row = connection.execute(select(orders).where(orders.c.id == order_id)).mappings().one_or_none()
        return None if row is None else BatchJobRecord.from_row(row)

    def orders(
        self, *, after: str = "", limit: int = 20, states: Collection[BatchJobState] = (), owner: str = ""
    ) -> list[BatchJobRecord]:
        """Orders, newest first, beginning with the one after that id."""
        query = select(orders).order_by(orders.c.created.desc(), orders.c.id.desc()).limit(limit)
        if after:
            query = query.where(_after(orders, after, newest_first=True))
        if states:
            query = query.where(orders.c.state.in_(states))
        if owner:
            query = query.where(orders.c.owner == owner)
        with self._read() as connection:
            return [BatchJobRecord.from_row(row) for row in connection.execute(query).mappings()]

    def change_order(self, order_id: str, *, only: Collection[BatchJobState] = (), **values: Any) -> bool:
        """Set fields of an order, where it is in one of the states `only` (if given); whether it was."""
        query = update(orders).where(orders.c.id == order_id)
        if only:
            query = query.where(orders.c.state.in_(only))
        with self._write() as connection:
            return connection.execute(query.values(**values)).rowcount > 0

    def order_counts(self, order_id: str) -> dict[State, int]:
        """How many of an order's runs are in each state."""
        query = select(runs.c.state, func.count()).where(runs.c.order_id == order_id).group_by(runs.c.state)
        with self._read() as connection:
            return {State(state): count for state, count in connection.execute(query)}

    def order_runs(self, order_id: str) -> Iterator[tuple[str, str]]:
        """An order's runs, as (id, custom id), in the order of its file's lines."""
        query = select(runs.c.id, runs.c.custom_id).where(runs.c.order_id == order_id)
        with self._read() as connection:
            rows = connection.execute(query.order_by(runs.c.line, runs.c.id)).all()
        yield from ((row.id, row.custom_id) for row in rows)


class Files(Database):
    """Files that clients gave, or that were made for them."""

    def add_file(self, file: FileRecord) -> None:
        """Keep a new file's record; its contents lie at its path."""
        with self._write() as connection:
            connection.execute(insert(files).values(asdict(file) | {"facts": asdict(file)["facts"] or {}}))

    def file(self, file_id: str) -> FileRecord | None:
        """One file's record; None if there is no such."""
        with self._read() as connection:
            row = connection.execute(select(files).where(files.c.id == file_id)).mappings().one_or_none()
        return None if row is None else FileRecord.from_row(row)

    def files(
        self,
        *,
        purpose: str = "",
        owner: str = "",
        after: str = "",
        limit: int = 20,
        newest_first: bool = True,
    ) -> list[FileRecord]:
        """Files by the time at which they came, beginning with the one after that id."""
        way = (files.c.created.desc(), files.c.id.desc()) if newest_first else (files.c.created, files.c.id)
        query = select(files).order_by(*way).limit(limit)
        if purpose:
            query = query.where(files.c.purpose == purpose)
        if owner:
            query = query.where(files.c.owner == owner)
        if after:
            query = query.where(_after(files, after, newest_first))
        with self._read() as connection:
            return [FileRecord.from_row(row) for row in connection.execute(query).mappings()]

    def delete_file(self, file_id: str) -> FileRecord | None:
        """Forget a file; its last record, None if there was no such. What lies at its path is left alone."""
        with self._write() as connection:
            query = delete(files).where(files.c.id == file_id).returning(files)
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else FileRecord.from_row(row)


class Keys(Database):
    """API keys, by name; only their hashes are kept."""

    def add_key(self, name: str, hashed: str) -> None:
        """Keep a key's hash, hex of SHA-256. Raises ConflictError where the name is taken."""
        with self._write() as connection:
            if connection.scalar(select(keys.c.name).where(keys.c.name == name)) is not None:
                raise ConflictError(
                    f"there is a key named {name} already; choose another name, or revoke it first"
                )
            connection.execute(insert(keys).values(name=name, hash=hashed, created=self._clock()))

    def revoke_key(self, name: str) -> bool:
        """Refuse a key from now on; False where there is none of that name that is not revoked."""
        query = update(keys).where(keys.c.name == name, keys.c.revoked.is_(None))
        with self._write() as connection:
            return connection.execute(query.values(revoked=self._clock())).rowcount > 0

    def key_named(self, hashed: str) -> str | None:
        """The name of the key with that hash, if it is not revoked."""
        query = select(keys.c.name).where(keys.c.hash == hashed, keys.c.revoked.is_(None))
        with self._read() as connection:
            return connection.scalar(query)

    def keys(self) -> list[KeyRecord]:
        """All keys, revoked ones too, oldest first."""
        query = select(keys.c.name, keys.c.created, keys.c.revoked).order_by(keys.c.created, keys.c.name)
        with self._read() as connection:
            return [KeyRecord(*row) for row in connection.execute(query)]


class Minding(Database):
    """The queue's mode and its workers' health."""

    def mode(self) -> Mode:
        """What workers are to do with the queue."""
        return Mode(self.control(MODE, Mode.RUNNING))

    def set_mode(self, mode: Mode) -> None:
        """Tell the workers what to do with the queue; they heed it at their next step."""
        self.set_control(MODE, mode)

    def control(self, name: str, default: str = "") -> str:
        """A control's value."""
        with self._read() as connection:
            found = connection.scalar(select(controls.c.value).where(controls.c.name == name))
        return default if found is None else found

    def set_control(self, name: str, value: str) -> None:
        """Set a control."""
        values = {"value": value, "updated": self._clock()}
        with self._write() as connection:
            if not connection.execute(update(controls).where(controls.c.name == name).values(values)).rowcount:
                connection.execute(insert(controls).values(name=name, **values))

    def report(
        self,
        worker: str,
        state: WorkerState,
        *,
        trouble: str = "",
        batch: int | None = None,
        outlook: Mapping[str, Any] | None = None,
    ) -> None:
        """Say how a worker is; an `outlook` of None stays as it was."""
        now = self._clock()
        values: dict[str, Any] = {"state": state, "trouble": trouble, "batch": batch, "seen": now}
        values["ended"] = now if state is WorkerState.ENDED else None
        if outlook is not None:
            values["outlook"] = dict(outlook)
        with self._write() as connection:
            if not connection.execute(update(workers).where(workers.c.id == worker).values(values)).rowcount:
                fresh = {"id": worker, "engine": "", "device": "", "started": now, "outlook": {}}
                connection.execute(insert(workers).values(fresh | values))

    def introduce(self, worker: str, engine: str, device: str) -> None:
        """A worker has loaded its engine."""
        with self._write() as connection:
            mine = update(workers).where(workers.c.id == worker)
            connection.execute(mine.values(engine=engine, device=device, seen=self._clock()))

    def seen(self, worker: str) -> None:
        """A worker is alive."""
        with self._write() as connection:
            connection.execute(update(workers).where(workers.c.id == worker).values(seen=self._clock()))

    def workers(self, *, ended: bool = False) -> list[WorkerRecord]:
        """The workers, oldest first, without those that have ended, unless they are asked for too."""
        query = select(workers).order_by(workers.c.started, workers.c.id)
        with self._read() as connection:
            rows = connection.execute(query if ended else query.where(workers.c.ended.is_(None))).mappings()
            return [WorkerRecord.from_row(row) for row in rows]

    def close_workers(self, ids: Sequence[str] | None = None) -> None:
        """These workers (None: all) have ended, whether they said so or not."""
        query = update(workers).where(workers.c.ended.is_(None))
        if ids is not None:
            query = query.where(workers.c.id.in_(ids))
        with self._write() as connection:
            connection.execute(query.values(ended=self._clock(), state=WorkerState.ENDED, batch=None))


def _after(table: Table, mark: str, newest_first: bool) -> Any:
    """The condition that a row comes after the row of that id, by the time at which it was made."""
    made = select(table.c.created).where(table.c.id == mark).scalar_subquery()
    if newest_first:
        return or_(table.c.created < made, and_(table.c.created == made, table.c.id < mark))
    return or_(table.c.created > made, and_(table.c.created == made, table.c.id > mark))
