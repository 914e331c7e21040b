"""Workers of a service: registration, reports and heartbeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, select, update

from cosmos_batch.ledger.database.schema import workers
from cosmos_batch.ledger.database.transactions import Component
from cosmos_batch.ledger.service_models import (
    WorkerRecord,
    WorkerState,
)


class SqlWorkers(Component):
    """Records of workers."""

    def report(
        self,
        worker: str,
        state: WorkerState,
        *,
        trouble: str = "",
        batch: int | None = None,
        forecast: Mapping[str, Any] | None = None,
    ) -> None:
        """Store the state of a worker; a `forecast` of None keeps the stored one."""
        now = self._db.clock()
        values: dict[str, Any] = {"state": state, "trouble": trouble, "batch": batch, "heartbeat": now}
        values["ended"] = now if state is WorkerState.ENDED else None
        if forecast is not None:
            values["forecast"] = dict(forecast)
        fresh = {"id": worker, "engine": "", "device": "", "started": now, "forecast": {}}
        with self._db.write() as connection:
            self._db.dialect.upsert(
                connection, workers, [fresh | values], lambda new: {name: new[name] for name in values}
            )

    def register(self, worker: str, engine: str, device: str) -> None:
        """Store the engine and the device of a worker."""
        with self._db.write() as connection:
            mine = update(workers).where(workers.c.id == worker)
            connection.execute(mine.values(engine=engine, device=device, heartbeat=self._db.time()))

    def heartbeat(self, worker: str) -> None:
        """Store that a worker is alive."""
        with self._db.write() as connection:
            connection.execute(update(workers).where(workers.c.id == worker).values(heartbeat=self._db.time()))

    def all(self, *, ended: bool = False) -> list[WorkerRecord]:
        """Return the workers, oldest first; with `ended`, ended workers too."""
        query = select(workers).order_by(workers.c.started, workers.c.id)
        with self._db.read() as connection:
            rows = connection.execute(query if ended else query.where(workers.c.ended.is_(None))).mappings()
            return [WorkerRecord.from_row(row) for row in rows]

    def close(self, ids: Sequence[str]) -> None:
        """Store that workers have ended."""
        self._close(workers.c.id.in_(ids))

    def close_silent(self, seconds: float) -> None:
        """Store that workers without a heartbeat for so long have ended; one that reports again has not."""
        self._close(workers.c.heartbeat < self._db.time(-seconds))

    def _close(self, which: ColumnElement[bool]) -> None:
        open_ones = and_(workers.c.ended.is_(None), which)
        with self._db.write() as connection:
            ids = list(connection.scalars(select(workers.c.id).where(open_ones)))
            self._db.dialect.lock_rows(connection, workers.c.id, ids)
            query = update(workers).where(workers.c.id.in_(ids), open_ones)
            connection.execute(query.values(ended=self._db.clock(), state=WorkerState.ENDED, batch=None))
