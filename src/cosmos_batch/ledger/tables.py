"""The ledger's tables. Times are seconds since 1970 (UTC), so that every database keeps them alike."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("fingerprint", String(32), nullable=False),
    Column("request", JSON, nullable=False),  # the run as a JSON object
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("cause", Text, nullable=False, default=""),  # why it is in this state, where that needs saying
    Column("failures", Integer, nullable=False, default=0),  # attempts that the run itself made fail
    Column("predicted_seconds", Double),  # its share of the batch that it was last planned into
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Index("ix_runs_waiting", "state", "priority", "created"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("engine", String(64), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("size", Integer, nullable=False),  # runs in it
    Column("predicted_seconds", Double, nullable=False),
    Column("predicted_bytes", BigInteger, nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
    Column("cause", Text, nullable=False, default=""),  # why it was cut short, if it was
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", String(128), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("batch", Integer, ForeignKey("batches.id"), nullable=False, index=True),
    Column("worker", String(128), nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
    Column("outcome", String(16)),  # the state in which the attempt left its run; null while it lasts
    Column("cause", Text, nullable=False, default=""),
    Column("step", Integer, nullable=False, default=0),
    Column("steps", Integer, nullable=False, default=0),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", String(128), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("state", String(16), nullable=False),  # the state that the run changed to
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
)

measurements = Table(
    "measurements",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("batch", Integer, ForeignKey("batches.id")),  # null: measured by a benchmark
    Column("engine", String(64), nullable=False),
    Column("device", String(128), nullable=False),
    Column("facts", JSON, nullable=False),  # the fields of a planning.cost.Measurement
    Column("at", Double, nullable=False),
    Index("ix_measurements_engine", "engine", "device"),
)

limits = Table(
    "limits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("engine", String(64), nullable=False),
    Column("device", String(128), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("runs", Integer, nullable=False),  # the largest batch of this shape that may still be tried
    Column("at", Double, nullable=False),
    Index("ix_limits_engine", "engine", "device"),
)
