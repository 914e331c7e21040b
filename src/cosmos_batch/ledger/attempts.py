"""Attempts at claimed runs and the batches that they belong to: progress, leases and ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, bindparam, select, update

from cosmos_batch.ledger.database.schema import attempts, batches, runs
from cosmos_batch.ledger.database.transactions import Component, Database, chunks
from cosmos_batch.ledger.models import State


class SqlAttempts(Component):
    """Attempts of workers and their batches."""

    def begin(self, ids: Sequence[str]) -> None:
        """Leased runs have joined, and run."""
        if ids:
            with self._db.write() as connection:
                self._db.change(connection, ids, State.RUNNING, "joined")

    def progress(self, steps: Mapping[int, tuple[int, int]], lease: float) -> None:
        """Record, by attempt, the denoising steps done and in all; the lease runs on for `lease` seconds."""
        query = update(attempts).where(attempts.c.id == bindparam("attempt"), attempts.c.ended.is_(None))
        until = self._db.clock() + lease
        values = [{"attempt": id_, "step": done, "steps": of} for id_, (done, of) in steps.items()]
        if values:
            with self._db.write() as connection:
                connection.execute(query.values(lease_until=until), values)

    def renew(self, held: Iterable[int], lease: float) -> set[int]:
        """Let the leases of these attempts run on for `lease` seconds; those of them that have not ended."""
        query = update(attempts).where(attempts.c.id.in_(list(held)), attempts.c.ended.is_(None))
        with self._db.write() as connection:
            query = query.values(lease_until=self._db.clock() + lease)
            return set(connection.scalars(query.returning(attempts.c.id)))

    def finish(
        self,
        attempt: int,
        state: State,
        cause: str = "",
        *,
        failure: bool = False,
        wait: float = 0.0,
        steps: tuple[int, int] | None = None,
    ) -> bool:
        """End an attempt, leaving its run in `state`; `failure` counts it against the run, and `steps` are the
        denoising steps done and in all (None: as they were last recorded).

        A run that is to wait again does so for `wait` seconds at least, and is cancelled if that was wished for.
        Returns False, and changes nothing, where the attempt had ended already: its lease had run out.
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
            counted = {"failures": runs.c.failures + 1} if failure else {}
            later = now + wait if wait else 0.0
            self._db.release(connection, [run], state, cause, not_before=later, **counted)
        return True

    def end_batch(self, batch: int, cause: str = "", seconds: float | None = None) -> None:
        """Record that a batch is over, why it was cut short, if it was, and how long the engine was at it."""
        with self._db.write() as connection:
            query = update(batches).where(batches.c.id == batch)
            connection.execute(query.values(ended=self._db.clock(), cause=cause, seconds=seconds))

    def open_attempts(self, worker: str = "") -> set[int]:
        """The attempts that have not ended, of one worker if it is named."""
        query = select(attempts.c.id).where(attempts.c.ended.is_(None))
        if worker:
            query = query.where(attempts.c.worker == worker)
        with self._db.read() as connection:
            return set(connection.scalars(query))


def requeue_attempts(
    database: Database, connection: Connection, lapsed: ColumnElement[bool], reason: str
) -> list[str]:
    """End the open attempts that a condition selects and queue their runs again; the ids of the runs."""
    closing = update(attempts).where(lapsed)
    closing = closing.values(ended=database.clock(), outcome=State.QUEUED, cause=reason)
    rows = connection.execute(closing.returning(attempts.c.run, attempts.c.batch)).all()
    ids = sorted({row.run for row in rows})
    for chunk in chunks(ids):
        database.release(connection, chunk, State.QUEUED, reason)
    for chunk in chunks({row.batch for row in rows}):
        over = update(batches).where(batches.c.id.in_(chunk), batches.c.ended.is_(None))
        connection.execute(over.values(ended=database.clock(), cause=reason))
    return ids
