"""OpenAI batch jobs: records of uploaded batch files and of the runs made from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict
from typing import Any

from sqlalchemy import func, insert, select, update

from cosmos_batch.ledger.database.schema import batch_jobs, runs
from cosmos_batch.ledger.database.transactions import Component, created_after
from cosmos_batch.ledger.models import State
from cosmos_batch.ledger.service_models import (
    BatchJobRecord,
    BatchJobState,
)


class SqlBatchJobs(Component):
    """Records of batch jobs."""

    def add(self, job: BatchJobRecord) -> None:
        """Store a new batch job."""
        with self._db.write() as connection:
            connection.execute(insert(batch_jobs).values(asdict(job)))

    def get(self, job_id: str) -> BatchJobRecord | None:
        """Return a batch job; None for an unknown id."""
        with self._db.read() as connection:
            row = connection.execute(select(batch_jobs).where(batch_jobs.c.id == job_id)).mappings().one_or_none()
        return None if row is None else BatchJobRecord.from_row(row)

    def open(self, states: Collection[BatchJobState], service: str, limit: int = 1000) -> list[BatchJobRecord]:
        """Return the first jobs in these states whose files a service has, oldest first."""
        mine = (batch_jobs.c.state.in_(states), batch_jobs.c.service.in_(("", service)))
        query = select(batch_jobs).where(*mine).order_by(batch_jobs.c.created, batch_jobs.c.id).limit(limit)
        with self._db.read() as connection:
            return [BatchJobRecord.from_row(row) for row in connection.execute(query).mappings()]

    def page(
        self, *, after: str = "", limit: int = 20, states: Collection[BatchJobState] = (), owner: str = ""
    ) -> list[BatchJobRecord]:
        """Return up to `limit` batch jobs, newest first, from the job after the id `after`."""
        query = select(batch_jobs).order_by(batch_jobs.c.created.desc(), batch_jobs.c.id.desc()).limit(limit)
        if after:
            query = query.where(created_after(batch_jobs, after, newest_first=True))
        if states:
            query = query.where(batch_jobs.c.state.in_(states))
        if owner:
            query = query.where(batch_jobs.c.owner == owner)
        with self._db.read() as connection:
            return [BatchJobRecord.from_row(row) for row in connection.execute(query).mappings()]

    def change(self, job_id: str, *, only: Collection[BatchJobState] = (), **values: Any) -> bool:
        """Set fields of a batch job, if it is in one of the states `only`. Returns whether the fields were set."""
        query = update(batch_jobs).where(batch_jobs.c.id == job_id)
        if only:
            query = query.where(batch_jobs.c.state.in_(only))
        with self._db.write() as connection:
            return connection.execute(query.values(**values)).rowcount > 0

    def counts(self, job_id: str) -> dict[State, int]:
        """Count the runs of a batch job in each state."""
        query = select(runs.c.state, func.count()).where(runs.c.batch_job_id == job_id).group_by(runs.c.state)
        with self._db.read() as connection:
            return {State(state): count for state, count in connection.execute(query)}

    def runs(self, job_id: str) -> Iterator[tuple[str, str]]:
        """Yield the runs of a batch job as (id, custom id), in the order of the lines of its file."""
        query = select(runs.c.id, runs.c.custom_id).where(runs.c.batch_job_id == job_id)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(runs.c.line, runs.c.id)).all()
        yield from ((row.id, row.custom_id) for row in rows)
