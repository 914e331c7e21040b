"""Measurements of batches and model loads, memory limits, and counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from sqlalchemy import func, insert, select

from cosmos_batch.ledger.database.schema import counters, limits, measurements
from cosmos_batch.ledger.database.transactions import Component
from cosmos_batch.planning.cost.model import Measurement
from cosmos_batch.planning.traits import Shape


class SqlMeasurements(Component):
    """Stores measurements, memory limits and counters."""

    def add(self, measured: Measurement, batch: int | None = None) -> None:
        """Store the measurement of a model load or a batch."""
        row = {
            "batch": batch,
            "engine": measured.engine,
            "device": measured.device,
            "facts": asdict(measured),
            "at": self._db.clock(),
        }
        with self._db.write() as connection:
            connection.execute(insert(measurements).values(row))

    def latest(self, engine: str, device: str, limit: int | None = None) -> list[Measurement]:
        """Return the latest measurements of an engine on a device, at most `limit`, oldest first."""
        mine = (measurements.c.engine == engine, measurements.c.device == device)
        query = select(measurements.c.facts).where(*mine).order_by(measurements.c.id.desc()).limit(limit)
        with self._db.read() as connection:
            return [Measurement(**facts) for facts in reversed(list(connection.scalars(query)))]

    def add_limit(self, engine: str, device: str, shape: Shape, max_runs: int) -> None:
        """Store that at most `max_runs` runs of a shape fit in the memory of a device."""
        row = {"engine": engine, "device": device, **asdict(shape), "max_runs": max_runs, "at": self._db.clock()}
        with self._db.write() as connection:
            connection.execute(insert(limits).values(row))

    def limits(self, engine: str, device: str) -> dict[Shape, int]:
        """Return the largest batch that fits, for each shape that ran out of memory on a device."""
        size = (limits.c.width, limits.c.height, limits.c.frames)
        mine = (limits.c.engine == engine, limits.c.device == device)
        query = select(*size, func.min(limits.c.max_runs)).where(*mine).group_by(*size)
        with self._db.read() as connection:
            return {
                Shape(width, height, frames): max_runs
                for width, height, frames, max_runs in connection.execute(query)
            }

    def add_counters(self, more: Mapping[tuple[str, str], float]) -> None:
        """Add to counters, by name and label; a new counter starts at zero."""
        if not more:
            return
        with self._db.write() as connection:
            rows = [{"name": name, "label": label, "value": value} for (name, label), value in more.items()]
            self._db.dialect.upsert(
                connection, counters, rows, lambda new: {"value": counters.c.value + new["value"]}
            )

    def counters(self) -> dict[tuple[str, str], float]:
        """Return all counters, by name and label; `dispatch.observe.counters` says what each counts."""
        with self._db.read() as connection:
            rows = connection.execute(select(counters).order_by(counters.c.name, counters.c.label))
            return {(row.name, row.label): row.value for row in rows}
