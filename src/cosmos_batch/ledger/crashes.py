"""Crashes of workers: requeue their runs, quarantine the run that causes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from cosmos_batch.ledger.attempts import requeue_attempts
from cosmos_batch.ledger.database.schema import attempts, runs
from cosmos_batch.ledger.database.transactions import Component, chunks
from cosmos_batch.ledger.models import WAITING, State
from cosmos_batch.planning.policies.quarantine import (
    QUARANTINED,
    CrashHistory,
    counts_as_crash,
    quarantine_reason,
)

DIED = "its worker died"  # the start of the cause of an attempt that a crash ended
SILENT = "its worker was silent for too long"  # the same, where only the end of its leases tells of the crash
_WITH_IT = " ("  # follows where the engine was executing the run


class SqlCrashes(Component):
    """Records crashes of workers and quarantines the runs that cause them."""

    def requeue_dead_worker(self, worker: str, cause: str, running: Mapping[str, int]) -> dict[str, str]:
        """Requeue the runs of a dead worker, and count the crash for the runs that its engine was executing.

        `cause`: of the death. `running`: the runs in the engine, each with its denoising steps done; empty if
        the worker died outside the engine. Returns the quarantined runs, now FAILED, with the reason.
        """
        with self._db.write() as connection:
            mine = and_(attempts.c.ended.is_(None), attempts.c.worker == worker)
            blamed = attempts.c.run.in_(list(running))
            requeue_attempts(self._db, connection, and_(mine, blamed), f"{DIED}{_WITH_IT}{cause})")
            requeue_attempts(self._db, connection, mine, f"{DIED} outside its engine call ({cause})")
            return self._count_crash(connection, running, cause, running)

    def requeue_silent(self) -> tuple[list[str], dict[str, str]]:
        """Requeue the runs whose leases have expired, and count each second silence with a run as a crash.

        Suspected are the runs of a silent worker that were being denoised, by what it has recorded: it may have
        taken its machine, and its in-flight marker, with it. Returns the ids of the requeued runs, and the
        quarantined ones among them with the reason.
        """
        columns = (attempts.c.id, attempts.c.run, attempts.c.worker, attempts.c.step, attempts.c.steps)
        lapsed = and_(attempts.c.ended.is_(None), attempts.c.lease_until < self._db.time())
        query = select(*columns).where(lapsed).order_by(attempts.c.id).with_for_update(key_share=True)
        with self._db.write() as connection:
            found = connection.execute(query).all()
            suspects = [row for row in found if not row.steps or row.step < row.steps]
            suspected = {row.id for row in suspects}
            others = [row.id for row in found if row.id not in suspected]
            ids = self._requeue(connection, suspected, f"{SILENT}{_WITH_IT}with it, or its machine was)")
            ids += self._requeue(connection, others, SILENT)
            quarantined: dict[str, str] = {}
            for worker in sorted({row.worker for row in suspects}):
                running = {row.run: row.step for row in suspects if row.worker == worker}
                quarantined |= self._count_silence(connection, running)
        return ids, quarantined

    def _requeue(self, connection: Connection, which: Collection[int], reason: str) -> list[str]:
        requeued: list[str] = []
        for chunk in chunks(sorted(which)):
            requeued += requeue_attempts(self._db, connection, attempts.c.id.in_(chunk), reason)
        return requeued

    def _count_silence(self, connection: Connection, running: Mapping[str, int]) -> dict[str, str]:
        """Count the silence of a worker for the runs that it executed (id -> steps done)."""
        again: set[str] = set()
        for chunk in chunks(sorted(running)):
            query = update(runs).where(runs.c.id.in_(chunk)).values(silences=runs.c.silences + 1)
            rows = connection.execute(query.returning(runs.c.id, runs.c.silences)).all()
            again |= {row.id for row in rows if counts_as_crash(row.silences)}
        return self._count_crash(connection, running, SILENT, again)

    def record_crash(self, running: Mapping[str, int], cause: str) -> dict[str, str]:
        """Count a crash for requeued runs; the parameters and the result are those of `requeue_dead_worker`."""
        with self._db.write() as connection:
            return self._count_crash(connection, running, cause, running)

    def _count_crash(
        self, connection: Connection, running: Mapping[str, int], cause: str, counted: Collection[str]
    ) -> dict[str, str]:
        """Count a crash with the `running` runs for those that are `counted`."""
        alone = len(running) == 1
        query = select(runs.c.id, runs.c.crashes, runs.c.lone_crashes, runs.c.crash_step)
        waiting = query.where(runs.c.id.in_(counted), runs.c.state.in_(WAITING)).order_by(runs.c.id)
        rows = connection.execute(waiting.with_for_update(key_share=True)).all()
        quarantined = {}
        for row in rows:
            others = _crashes_without(connection, row.id) if alone else 0
            history = CrashHistory(row.crashes, row.lone_crashes, row.crash_step, others)
            reason = quarantine_reason(history, running[row.id], alone, cause)
            values = {"crashes": row.crashes + 1, "lone_crashes": row.lone_crashes + alone}
            if alone:
                values["crash_step"] = running[row.id]
            connection.execute(update(runs).where(runs.c.id == row.id).values(**values))
            if reason:
                self._db.change(connection, [row.id], State.FAILED, reason)
                quarantined[row.id] = reason
        return quarantined


def _crashes_without(connection: Connection, run_id: str) -> int:
    """Count the workers that died since the first crash with the run, without it and without a quarantined run."""
    died = _caused_by("")
    with_it = _caused_by(_WITH_IT)
    first = select(func.min(attempts.c.ended)).where(attempts.c.run == run_id, with_it).scalar_subquery()
    quarantined = and_(runs.c.state == State.FAILED, runs.c.cause.startswith(QUARANTINED, autoescape=True))
    explained = select(attempts.c.worker).join(runs, attempts.c.run == runs.c.id)
    explained = explained.where(attempts.c.ended >= first, with_it, or_(runs.c.id == run_id, quarantined))
    since = select(func.count(attempts.c.worker.distinct())).where(attempts.c.ended >= first, died)
    return connection.scalar(since.where(attempts.c.worker.not_in(explained))) or 0


def _caused_by(more: str) -> ColumnElement[bool]:
    """Return the condition that a crash ended an attempt; `more` follows in the cause."""
    causes = [attempts.c.cause.startswith(f"{start}{more}", autoescape=True) for start in (DIED, SILENT)]
    return or_(*causes)
