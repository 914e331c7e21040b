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
    """What the Batches API calls batches."""

    def add(self, job: BatchJobRecord) -> None:
        """Keep a new order."""
        with self._db.write() as connection:
            connection.execute(insert(batch_jobs).values(asdict(job)))

    def get(self, job_id: str) -> BatchJobRecord | None:
        """One order; None if there is no such."""
        with self._db.read() as connection:
            row = connection.execute(select(batch_jobs).where(batch_jobs.c.id == job_id)).mappings().one_or_none()
        return None if row is None else BatchJobRecord.from_row(row)

    def page(
        self, *, after: str = "", limit: int = 20, states: Collection[BatchJobState] = (), owner: str = ""
    ) -> list[BatchJobRecord]:
        """Orders, newest first, beginning with the one after that id."""
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
        """Set fields of an order, where it is in one of the states `only` (if given); whether it was."""
        query = update(batch_jobs).where(batch_jobs.c.id == job_id)
        if only:
            query = query.where(batch_jobs.c.state.in_(only))
        with self._db.write() as connection:
            return connection.execute(query.values(**values)).rowcount > 0

    def counts(self, job_id: str) -> dict[State, int]:
        """How many of an order's runs are in each state."""
        query = select(runs.c.state, func.count()).where(runs.c.batch_job_id == job_id).group_by(runs.c.state)
        with self._db.read() as connection:
            return {State(state): count for state, count in connection.execute(query)}

    def runs(self, job_id: str) -> Iterator[tuple[str, str]]:
        """An order's runs, as (id, custom id), in the order of its file's lines."""
        query = select(runs.c.id, runs.c.custom_id).where(runs.c.batch_job_id == job_id)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(runs.c.line, runs.c.id)).all()
        yield from ((row.id, row.custom_id) for row in rows)
