"""Workers that died: their runs wait again, and those that they had aboard are suspected of it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, and_, func, select, update

from cosmos_batch.ledger.attempts import requeue_attempts
from cosmos_batch.ledger.database.schema import attempts, runs
from cosmos_batch.ledger.database.transactions import Component
from cosmos_batch.ledger.models import WAITING, State
from cosmos_batch.planning.policies.quarantine import CrashHistory, quarantine_reason

DIED = "its worker died"  # how the cause begins of attempts that were cut off so


class SqlCrashes(Component):
    """The side of those who find out what killed a worker."""

    def requeue_dead_worker(self, worker: str, how: str, running: Mapping[str, int]) -> dict[str, str]:
        """A worker has died: its runs wait again, and those that it had aboard are suspected of its death.

        `how`: what it died of. `aboard`: the runs that its engine was at, each with its denoising steps done;
        empty where it died of something else. Returns the runs that are now failed as poison, with the evidence.
        """
        with self._db.write() as connection:
            mine = and_(attempts.c.ended.is_(None), attempts.c.worker == worker)
            requeue_attempts(self._db, connection, mine, f"{DIED} ({how})")
            return self._suspect(connection, running, how)

    def record_crash(self, running: Mapping[str, int], how: str) -> dict[str, str]:
        """Runs that wait again are suspected of having broken their worker; see `bury`."""
        with self._db.write() as connection:
            return self._suspect(connection, running, how)

    def _suspect(self, connection: Connection, running: Mapping[str, int], how: str) -> dict[str, str]:
        alone = len(running) == 1
        query = select(runs.c.id, runs.c.crashes, runs.c.lone_crashes, runs.c.crash_step)
        rows = connection.execute(query.where(runs.c.id.in_(running), runs.c.state.in_(WAITING))).all()
        condemned = {}
        for row in rows:
            others = _deaths_without(connection, row.id) if alone else 0
            suspect = CrashHistory(row.crashes, row.lone_crashes, row.crash_step, others)
            evidence = quarantine_reason(suspect, running[row.id], alone, how)
            values = {"crashes": row.crashes + 1, "lone_crashes": row.lone_crashes + alone}
            if alone:
                values["crash_step"] = running[row.id]
            connection.execute(update(runs).where(runs.c.id == row.id).values(**values))
            if evidence:
                self._db.change(connection, [row.id], State.FAILED, evidence)
                condemned[row.id] = evidence
        return condemned


def _deaths_without(connection: Connection, run_id: str) -> int:
    """How many workers have died since the first that died with the run, and never had the run."""
    died = attempts.c.cause.startswith(DIED, autoescape=True)
    first = select(func.min(attempts.c.ended)).where(attempts.c.run == run_id, died).scalar_subquery()
    its_own = select(attempts.c.worker).where(attempts.c.run == run_id)
    since = select(func.count(attempts.c.worker.distinct())).where(attempts.c.ended >= first, died)
    return connection.scalar(since.where(attempts.c.worker.not_in(its_own))) or 0
