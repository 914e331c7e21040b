"""Reports: queue by shape, throughput, savings, prediction error, waiting times."""

from __future__ import annotations

from sqlalchemy import and_, func, select

from cosmos_batch.ledger.database.schema import attempts, batches, events, measurements, runs
from cosmos_batch.ledger.database.transactions import Component
from cosmos_batch.ledger.models import ENDED, HELD, WAITING, State
from cosmos_batch.ledger.service_models import Prediction, RunTimes, ShapeCount, Throughput


class SqlReports(Component):
    """Computes figures of the queue and of the past."""

    def shapes(self) -> list[ShapeCount]:
        """Count the waiting and held runs by shape label and state, largest counts first."""
        columns = (runs.c.shape_label, runs.c.signature, runs.c.state)
        seconds = func.coalesce(func.sum(runs.c.predicted_seconds), 0.0)
        query = (
            select(*columns, func.count(), func.min(runs.c.created), seconds)
            .where(runs.c.state.in_((*WAITING, *HELD)))
            .group_by(*columns)
            .order_by(func.count().desc(), runs.c.shape_label, runs.c.state)
        )
        with self._db.read() as connection:
            return [
                ShapeCount(kind, signature, State(state), count, oldest, predicted)
                for kind, signature, state, count, oldest, predicted in connection.execute(query)
            ]

    def throughput(self, since: float, until: float, interval: float) -> list[Throughput]:
        """Return what ended in each interval of so many seconds, from `since` to before `until` (since 1970)."""
        starts = [since + interval * index for index in range(max(0, int((until - since) / interval)))]
        ended: dict[int, dict[State, int]] = {}
        engine: dict[int, float] = {}
        alone: dict[int, float] = {}
        within = and_(events.c.at >= since, events.c.at < until)
        finals = select(events.c.at, events.c.state, runs.c.alone_seconds).join(runs, runs.c.id == events.c.run)
        worked = select(batches.c.ended, batches.c.seconds).where(
            batches.c.ended >= since, batches.c.ended < until, batches.c.seconds.is_not(None)
        )
        with self._db.read() as connection:
            for at, state, seconds in connection.execute(finals.where(within, events.c.state.in_(ENDED))):
                place = int((at - since) / interval)
                counts = ended.setdefault(place, {})
                counts[State(state)] = counts.get(State(state), 0) + 1
                if state == State.SUCCEEDED:
                    alone[place] = alone.get(place, 0.0) + (seconds or 0.0)
            for at, seconds in connection.execute(worked):
                place = int((at - since) / interval)
                engine[place] = engine.get(place, 0.0) + seconds
        return [
            Throughput(start, ended.get(i, {}), engine.get(i, 0.0), alone.get(i, 0.0))
            for i, start in enumerate(starts)
        ]

    def predictions(self, limit: int = 200) -> list[Prediction]:
        """Return the latest `limit` batches with a prediction and a measurement, oldest first."""
        query = select(measurements.c.batch, measurements.c.facts, measurements.c.at)
        query = query.where(measurements.c.batch.is_not(None)).order_by(measurements.c.id.desc()).limit(limit)
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        return [
            Prediction(batch, facts["runs"], facts["predicted_seconds"], facts["seconds"], at)
            for batch, facts, at in reversed(rows)
            if facts["predicted_seconds"] is not None
        ]

    def batch_sizes(self, since: float) -> dict[int, int]:
        """Count the batches begun since `since` (seconds since 1970) by their size."""
        query = select(batches.c.size, func.count()).where(batches.c.started >= since)
        with self._db.read() as connection:
            rows = connection.execute(query.group_by(batches.c.size).order_by(batches.c.size))
            return {row[0]: row[1] for row in rows}

    def run_times(self, since: float, limit: int = 10_000) -> list[RunTimes]:
        """Return the times of runs that succeeded since `since` (seconds since 1970), the latest `limit`."""
        tries = attempts.alias()
        first = select(func.min(tries.c.started)).where(tries.c.run == runs.c.id).scalar_subquery()
        waited = first - runs.c.created
        query = (
            select(waited.label("waited"), (attempts.c.ended - attempts.c.started).label("took"))
            .join(runs, runs.c.id == attempts.c.run)
            .where(attempts.c.ended >= since, attempts.c.outcome == State.SUCCEEDED)
            .order_by(attempts.c.ended.desc())
            .limit(limit)
        )
        with self._db.read() as connection:
            return [RunTimes(row.waited, row.took) for row in connection.execute(query)]
