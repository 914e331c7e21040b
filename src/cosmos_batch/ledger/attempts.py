"""Attempts at claimed runs and the batches that they belong to: progress, leases and ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, Integer, bindparam, case, func, select, update

from cosmos_batch.ledger.database.dialects import Time
from cosmos_batch.ledger.database.schema import attempts, batches, runs
from cosmos_batch.ledger.database.transactions import Component, Database, chunks
from cosmos_batch.ledger.models import CANCEL, PUBLISH, Publication, State
from cosmos_batch.ledger.service.usage import store_usage
from cosmos_batch.scoring.acceptance import Tries


class SqlAttempts(Component):
    """Attempts of workers and their batches."""

    def begin(self, ids: Sequence[str]) -> None:
        """Set claimed runs to RUNNING."""
        if ids:
            with self._db.write() as connection:
                self._db.change(connection, ids, State.RUNNING, "joined")

    def progress(self, steps: Mapping[int, tuple[int, int]], lease: float) -> None:
        """Record the denoising steps done and in all, by attempt, and renew the leases for `lease` seconds."""
        now = self._db.time()
        query = update(attempts).where(attempts.c.id == bindparam("attempt"), attempts.c.ended.is_(None))
        query = query.values(
            lease_until=self._db.time(lease),
            step=bindparam("done"),
            steps=bindparam("of"),
            first_step=func.coalesce(attempts.c.first_step, func.nullif(bindparam("done"), 0)),
            first_step_at=_if_further(func.coalesce(attempts.c.first_step_at, now), attempts.c.first_step_at),
            step_at=_if_further(now, attempts.c.step_at),
        )
        values = [{"attempt": id_, "done": done, "of": of} for id_, (done, of) in sorted(steps.items())]
        if values:
            with self._db.write() as connection:
                connection.execute(query, values)

    def renew(self, held: Iterable[int], lease: float) -> set[int]:
        """Renew the leases of attempts for `lease` seconds. Returns the attempts that are still open."""
        ids = list(held)
        query = update(attempts).where(attempts.c.id.in_(ids), attempts.c.ended.is_(None))
        with self._db.write() as connection:
            self._db.dialect.lock_rows(connection, attempts.c.id, ids)
            query = query.values(lease_until=self._db.time(lease))
            return set(connection.scalars(query.returning(attempts.c.id)))

    def start_publication(self, attempt: int, lease: float) -> Publication:
        """Settle whether an attempt's output is published or its run is cancelled; renew the lease if published.

        Until the attempt ends, a cancel request for the run is refused once this has granted publication.
        """
        mine = update(attempts).where(attempts.c.id == attempt, attempts.c.ended.is_(None))
        with self._db.write() as connection:
            renewed = mine.values(lease_until=self._db.time(lease)).returning(attempts.c.run)
            run = connection.scalar(renewed)
            if run is None:
                return Publication.LOST
            granted = update(runs).where(runs.c.id == run, runs.c.requested_action != CANCEL)
            if connection.execute(granted.values(requested_action=PUBLISH)).rowcount:
                return Publication.GRANTED
        return Publication.CANCELLED

    def finish(
        self,
        attempt: int,
        state: State,
        cause: str = "",
        *,
        failure: bool = False,
        wait: float = 0.0,
        steps: tuple[int, int] | None = None,
        blocked_key: str = "",
        scores: Mapping[str, float] | None = None,
        tries: Tries | None = None,
    ) -> bool:
        """End an attempt and set the state of its run.

        `failure`: count it as a failure of the run. `steps`: denoising steps done and in all; None: as last
        recorded. `blocked_key`: key of the request, where the guardrail blocked it. `scores`: of the published
        video, by name; None: those that are stored stay. `tries`: the attempts at a run that has to reach scores,
        whose failures are counted anew after each; None: those that are stored stay. A requeued run waits for
        `wait` seconds at least; with a cancel request it becomes CANCELLED. Returns False, with no change, if the
        attempt had ended already because its lease had run out.
        """
        now = self._db.clock()
        closing = update(attempts).where(attempts.c.id == attempt, attempts.c.ended.is_(None))
        closing = closing.values(ended=now, outcome=state, cause=cause)
        if steps is not None:
            closing = closing.values(step=steps[0], steps=steps[1])
        with self._db.write() as connection:
            run = connection.scalar(closing.returning(attempts.c.run))
            if run is None:
                return False
            more: dict[str, object] = {"failures": runs.c.failures + 1} if failure else {}
            more |= {} if scores is None else {"scores": dict(scores)}
            more |= {} if tries is None else {"tries": len(tries.made), "acceptance": tries.record, "failures": 0}
            later = now + wait if wait else 0.0
            self._db.release(connection, [run], state, cause, not_before=later, blocked_key=blocked_key, **more)
        return True

    def end_batch(self, batch: int, cause: str = "", seconds: float | None = None) -> None:
        """Record the end of a batch, the cause if it ended early, and its seconds of engine time."""
        mine = update(batches).where(batches.c.id == batch)
        with self._db.write() as connection:
            if seconds is not None:
                first = mine.where(batches.c.seconds.is_(None)).values(seconds=seconds)
                if connection.execute(first.returning(batches.c.id)).first() is not None:
                    store_usage(self._db, connection, batch, seconds)
            connection.execute(mine.values(ended=self._db.clock(), cause=cause))

    def open_attempts(self, worker: str = "") -> set[int]:
        """Return the attempts that have not ended; only those of `worker`, if given."""
        query = select(attempts.c.id).where(attempts.c.ended.is_(None))
        if worker:
            query = query.where(attempts.c.worker == worker)
        with self._db.read() as connection:
            return set(connection.scalars(query))


def _if_further(then: Time, otherwise: ColumnElement[float]) -> ColumnElement[float]:
    """One value for an attempt that has taken a step since the last record, another for one that has not."""
    return case((bindparam("done", type_=Integer) > attempts.c.step, then), else_=otherwise)


def requeue_attempts(
    database: Database, connection: Connection, lapsed: ColumnElement[bool], reason: str
) -> list[str]:
    """End the open attempts that a condition selects and requeue their runs. Returns the ids of the runs."""
    ended = {"ended": database.clock(), "outcome": State.QUEUED, "cause": reason}
    taken = select(attempts.c.id, attempts.c.run, attempts.c.batch).where(lapsed).order_by(attempts.c.id)
    rows = connection.execute(taken.with_for_update(key_share=True)).all()
    for chunk in chunks(row.id for row in rows):
        connection.execute(update(attempts).where(attempts.c.id.in_(chunk)).values(ended))
    ids = sorted({row.run for row in rows})
    for chunk in chunks(ids):
        database.release(connection, chunk, State.QUEUED, reason)
    for chunk in chunks(sorted({row.batch for row in rows})):
        database.dialect.lock_rows(connection, batches.c.id, chunk)
        over = update(batches).where(batches.c.id.in_(chunk), batches.c.ended.is_(None))
        connection.execute(over.values(ended=database.clock(), cause=reason))
    return ids
