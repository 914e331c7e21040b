"""The queue of waiting runs: its changes, and the claims of workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, func, insert, select, update

from cosmos_batch.ledger.attempts import requeue_attempts
from cosmos_batch.ledger.database.schema import attempts, batches, events, runs, settings
from cosmos_batch.ledger.database.transactions import Component, Database
from cosmos_batch.ledger.models import (
    CANCEL,
    HELD,
    WAITING,
    BatchFacts,
    Claim,
    Mode,
    QueueChanges,
    QueueEntry,
    QueuePoll,
    State,
)

MODE = "mode"  # the setting that holds the mode of the queue

_ENTRY = (
    runs.c.id,
    runs.c.fingerprint,
    runs.c.priority,
    runs.c.created,
    runs.c.not_before,
    runs.c.failures,
    runs.c.crashes,
    runs.c.tries,
)


class SqlQueue(Component):
    """Hands waiting runs to workers."""

    def __init__(self, database: Database, service: str = "") -> None:
        """`service`: the id of the service whose mode is polled; "": it has none of its own."""
        super().__init__(database)
        self._latest = latest_change(database).scalar_subquery()
        self._poll = select(self._latest.label("latest"), effective_mode(service).label("mode"))

    def poll(self) -> QueuePoll:
        """Return the id of the latest change and the mode of the queue, in one query."""
        with self._db.read() as connection:
            row = connection.execute(self._poll).one()
        return QueuePoll(row.latest, Mode(row.mode or Mode.RUNNING))

    def changes_since(self, after: int | None = None) -> QueueChanges:
        """Return the changes of the queue after the change with that id; for None, all waiting runs."""
        query = select(*_ENTRY, runs.c.state)
        if after is None:
            query = query.where(runs.c.state.in_(WAITING))
        else:
            query = query.where(runs.c.id.in_(select(events.c.run).where(events.c.id > after)))
        with self._db.read() as connection:
            latest = connection.execute(select(self._latest)).scalar_one()
            rows = connection.execute(query).all()
        waiting = [QueueEntry(*row[:-1]) for row in rows if row.state in WAITING]
        return QueueChanges(latest, waiting, [row.id for row in rows if row.state not in WAITING])

    def claim(
        self, ids: Sequence[str], facts: BatchFacts, worker: str, lease: float, into: int | None = None
    ) -> Claim | None:
        """Claim the waiting runs among the ids for `lease` seconds; None if none waits.

        The claimed runs become a batch, or join the batch `into`, whose size and predicted seconds grow.
        """
        wanted = select(runs.c.id, runs.c.tries).where(runs.c.id.in_(ids), runs.c.state.in_(WAITING))
        with self._db.write() as connection:
            tries = {row.id: row.tries for row in connection.execute(wanted.with_for_update(skip_locked=True))}
            free = list(tries)
            if not free:
                return None
            if into is None:
                batch = self._insert_batch(connection, facts, len(free), worker)
            else:
                batch = _grow_batch(connection, into, facts, len(free))
            opened = self._insert_attempts(connection, free, batch, worker, lease)
            share = facts.predicted_seconds / len(free)
            self._db.change(connection, free, State.LEASED, f"in batch {batch}", predicted_seconds=share)
            _store_alone_seconds(connection, free, facts.alone_seconds)
        return Claim(batch, opened, tries)

    def _insert_batch(self, connection: Connection, facts: BatchFacts, size: int, worker: str) -> int:
        row = {
            "engine": facts.engine,
            **asdict(facts.shape),
            "size": size,
            "predicted_seconds": facts.predicted_seconds,
            "predicted_bytes": facts.predicted_bytes,
            "load_seconds": facts.load_seconds,
            "started": self._db.clock(),
            "worker": worker,
        }
        return int(connection.execute(insert(batches).values(row).returning(batches.c.id)).scalar_one())

    def _insert_attempts(
        self, connection: Connection, ids: Sequence[str], batch: int, worker: str, lease: float
    ) -> dict[str, int]:
        common = {"batch": batch, "worker": worker, "started": self._db.clock()}
        query = insert(attempts).values(lease_until=self._db.time(lease))
        query = query.returning(attempts.c.run, attempts.c.id)
        rows = connection.execute(query, [{"run": id_, **common} for id_ in ids])
        return {row.run: row.id for row in rows}

    def remaining_seconds(self) -> dict[str, float]:
        """Return the seconds that are left of each worker's batch, by worker.

        That is the predicted time of the batch times the share of its denoising steps that are left. Before the
        first step it is the predicted end of the batch, with the model load before it, less the present time.
        """
        left = case((attempts.c.ended.is_(None), attempts.c.steps - attempts.c.step), else_=0)
        columns = (batches.c.worker, batches.c.started, batches.c.predicted_seconds, batches.c.load_seconds)
        query = select(*columns, func.sum(attempts.c.steps), func.sum(left)).join(attempts)
        query = query.where(batches.c.ended.is_(None)).group_by(batches.c.id, *columns)
        now, busy = self._db.clock(), dict[str, float]()
        with self._db.read() as connection:
            for worker, started, seconds, load, steps, missing in connection.execute(query):
                more = seconds * missing / steps if steps else started + load + seconds - now
                busy[worker] = max(busy.get(worker, 0.0), more)
        return busy

    def cancel_requests(self) -> list[str]:
        """Return the ids of runs that a worker holds and that have a cancel request."""
        query = select(runs.c.id).where(runs.c.requested_action == CANCEL, runs.c.state.in_(HELD))
        with self._db.read() as connection:
            return list(connection.scalars(query))

    def reclaim(self, reason: str, *, every_worker: bool = False, worker: str = "") -> list[str]:
        """Requeue the runs whose lease has run out. Returns their ids.

        With `worker`, all runs that this worker holds; with `every_worker`, all held runs.
        """
        lapsed: ColumnElement[bool] = attempts.c.ended.is_(None)
        if worker:
            lapsed = and_(lapsed, attempts.c.worker == worker)
        elif not every_worker:
            lapsed = and_(lapsed, attempts.c.lease_until < self._db.time())
        with self._db.write() as connection:
            return requeue_attempts(self._db, connection, lapsed, reason)

    def defer(self, ids: Sequence[str], reason: str, wait: float, max_failures: int) -> list[str]:
        """Count a failure of waiting runs that could not begin, and keep them waiting for `wait` seconds.

        Returns the ids of runs that had their `max_failures`-th failure: they are FAILED.
        """
        with self._db.write() as connection:
            mine = and_(runs.c.id.in_(ids), runs.c.state.in_(WAITING))
            query = select(runs.c.id, runs.c.failures).where(mine).order_by(runs.c.id)
            rows = connection.execute(query.with_for_update(key_share=True)).all()
            spent = [row.id for row in rows if row.failures + 1 >= max_failures]
            again = [row.id for row in rows if row.failures + 1 < max_failures]
            counted = {"failures": runs.c.failures + 1, "not_before": self._db.clock() + wait}
            for state, chunk in ((State.FAILED, spent), (State.QUEUED, again)):
                if chunk:
                    self._db.change(connection, chunk, state, reason, **counted)
        return spent


def effective_mode(service: str) -> ColumnElement[str]:
    """Return the mode of a service, or that of the queue where it has none of its own, for a statement."""
    own, common = (
        select(settings.c.value).where(settings.c.name == name).scalar_subquery()
        for name in (own_mode(service), MODE)
    )
    return func.coalesce(own, common) if service else common


def own_mode(service: str) -> str:
    """Return the name of the setting that holds a service's own mode."""
    return f"{MODE}/{service}" if service else MODE


def latest_change(database: Database) -> Select[tuple[int]]:
    """Return the query of the latest state change that no change before it can follow; 0: there is none."""
    return select(func.coalesce(func.max(events.c.id), 0)).where(database.dialect.settled())


def _grow_batch(connection: Connection, batch: int, facts: BatchFacts, size: int) -> int:
    query = update(batches).where(batches.c.id == batch)
    more = batches.c.predicted_seconds + facts.predicted_seconds
    connection.execute(query.values(size=batches.c.size + size, predicted_seconds=more))
    return batch


def _store_alone_seconds(connection: Connection, ids: Sequence[str], seconds: Mapping[str, float]) -> None:
    known = [{"run": id_, "alone": seconds[id_]} for id_ in ids if id_ in seconds]
    if known:
        query = update(runs).where(runs.c.id == bindparam("run"))
        connection.execute(query.values(alone_seconds=bindparam("alone")), known)
