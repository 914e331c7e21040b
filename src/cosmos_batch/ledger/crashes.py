"""Crashes of workers: requeue their runs, quarantine the run that causes them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, and_, func, or_, select, update

from cosmos_batch.ledger.attempts import requeue_attempts
from cosmos_batch.ledger.database.schema import attempts, runs
from cosmos_batch.ledger.database.transactions import Component
from cosmos_batch.ledger.models import WAITING, State
from cosmos_batch.planning.policies.quarantine import QUARANTINED, CrashHistory, quarantine_reason

DIED = "its worker died"  # the start of the cause of an attempt that a crash ended
_WITH_IT = f"{DIED} ("  # the start of the cause where the engine was executing the run


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
            requeue_attempts(self._db, connection, and_(mine, blamed), f"{_WITH_IT}{cause})")
            requeue_attempts(self._db, connection, mine, f"{DIED} outside its engine call ({cause})")
            return self._count_crash(connection, running, cause)

    def record_crash(self, running: Mapping[str, int], cause: str) -> dict[str, str]:
        """Count a crash for requeued runs; the parameters and the result are those of `requeue_dead_worker`."""
        with self._db.write() as connection:
            return self._count_crash(connection, running, cause)

    def _count_crash(self, connection: Connection, running: Mapping[str, int], cause: str) -> dict[str, str]:
        alone = len(running) == 1
        query = select(runs.c.id, runs.c.crashes, runs.c.lone_crashes, runs.c.crash_step)
        waiting = query.where(runs.c.id.in_(running), runs.c.state.in_(WAITING)).order_by(runs.c.id)
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
    died = attempts.c.cause.startswith(DIED, autoescape=True)
    with_it = attempts.c.cause.startswith(_WITH_IT, autoescape=True)
    first = select(func.min(attempts.c.ended)).where(attempts.c.run == run_id, with_it).scalar_subquery()
    quarantined = and_(runs.c.state == State.FAILED, runs.c.cause.startswith(QUARANTINED, autoescape=True))
    explained = select(attempts.c.worker).join(runs, attempts.c.run == runs.c.id)
    explained = explained.where(attempts.c.ended >= first, with_it, or_(runs.c.id == run_id, quarantined))
    since = select(func.count(attempts.c.worker.distinct())).where(attempts.c.ended >= first, died)
    return connection.scalar(since.where(attempts.c.worker.not_in(explained))) or 0
