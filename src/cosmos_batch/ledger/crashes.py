"""Crashes of workers: requeue their runs, quarantine the run that causes them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, and_, func, select, update

from cosmos_batch.ledger.attempts import requeue_attempts
from cosmos_batch.ledger.database.schema import attempts, runs
from cosmos_batch.ledger.database.transactions import Component
from cosmos_batch.ledger.models import WAITING, State
from cosmos_batch.planning.policies.quarantine import CrashHistory, quarantine_reason

DIED = "its worker died"  # the start of the cause of an attempt that a crash ended


class SqlCrashes(Component):
    """Records crashes of workers and quarantines the runs that cause them."""

    def requeue_dead_worker(self, worker: str, cause: str, running: Mapping[str, int]) -> dict[str, str]:
        """Requeue the runs of a dead worker, and count the crash for the runs that its engine was executing.

        `cause`: of the death. `running`: the runs in the engine, each with its denoising steps done; empty if
        the worker died outside the engine. Returns the quarantined runs, now FAILED, with the reason.
        """
        with self._db.write() as connection:
            mine = and_(attempts.c.ended.is_(None), attempts.c.worker == worker)
            requeue_attempts(self._db, connection, mine, f"{DIED} ({cause})")
            return self._count_crash(connection, running, cause)

    def record_crash(self, running: Mapping[str, int], cause: str) -> dict[str, str]:
        """Count a crash for requeued runs; the parameters and the result are those of `requeue_dead_worker`."""
        with self._db.write() as connection:
            return self._count_crash(connection, running, cause)

    def _count_crash(self, connection: Connection, running: Mapping[str, int], cause: str) -> dict[str, str]:
        alone = len(running) == 1
        query = select(runs.c.id, runs.c.crashes, runs.c.lone_crashes, runs.c.crash_step)
        rows = connection.execute(query.where(runs.c.id.in_(running), runs.c.state.in_(WAITING))).all()
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
    """Count the workers that died since the first crash with the run and that never held the run."""
    died = attempts.c.cause.startswith(DIED, autoescape=True)
    first = select(func.min(attempts.c.ended)).where(attempts.c.run == run_id, died).scalar_subquery()
    held_by = select(attempts.c.worker).where(attempts.c.run == run_id)
    since = select(func.count(attempts.c.worker.distinct())).where(attempts.c.ended >= first, died)
    return connection.scalar(since.where(attempts.c.worker.not_in(held_by))) or 0
