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
    Column("prompt", Text, nullable=False, default=""),  # as in the request, for searching
    Column("signature", String(200), nullable=False, default=""),  # its active controls: "depth+edge"
    Column("kind", String(200), nullable=False, default=""),  # controls and size in words, for grouping
    Column("owner", String(128), nullable=False, default=""),  # the API key that asked for it, by name
    Column("order_id", String(64), nullable=False, default=""),  # the order that it belongs to, if any
    Column("custom_id", String(512), nullable=False, default=""),  # what its order's file calls it
    Column("line", Integer, nullable=False, default=0),  # where its order's file names it
    Column("facts", JSON, nullable=False, default=dict),  # what its videos say of themselves, by path
    Column("wish", String(16), nullable=False, default=""),  # "cancel": a worker has it, and is to drop it
    Column("not_before", Double, nullable=False, default=0.0),  # it waits at least until then
    Column("deaths", Integer, nullable=False, default=0),  # workers that died with it aboard
    Column("lone_deaths", Integer, nullable=False, default=0),  # those of them that had it alone
    Column("death_step", Integer),  # denoising steps done when it was alone aboard a dying worker
    Column("alone_seconds", Double),  # predicted, had it been launched by itself
    Column("rating", Integer),  # 1 to 5, by whoever looked at the video
    Index("ix_runs_waiting", "state", "priority", "created"),
    Index("ix_runs_created", "created", "id"),
    Index("ix_runs_order", "order_id", "line"),
    Index("ix_runs_wish", "wish"),
)

submissions = Table(
    "submissions",  # what was asked for under an idempotency key
    metadata,
    Column("key", String(400), primary_key=True),
    Column("digest", String(64), nullable=False),  # of the request
    Column("run", String(128), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created", Double, nullable=False),
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
    Column("worker", String(128), nullable=False, default=""),
    Column("seconds", Double),  # that the engine was at work on it; null while it lasts
    Index("ix_batches_ended", "ended"),
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
    Index("ix_attempts_open", "ended", "lease_until"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", String(128), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("state", String(16), nullable=False),  # the state that the run changed to
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_autoincrement=True,  # an id that was deleted does not come back: whoever follows changes counts on it
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

orders = Table(
    "orders",  # what the Batches API calls a batch: a file with a request in every line
    metadata,
    Column("id", String(64), primary_key=True),
    Column("input_file", String(64), nullable=False),
    Column("endpoint", String(128), nullable=False),
    Column("window", String(16), nullable=False),  # as the client gave it: "24h"
    Column("state", String(16), nullable=False),
    Column("details", JSON, nullable=False, default=dict),  # the client's own metadata
    Column("owner", String(128), nullable=False, default=""),
    Column("errors", JSON, nullable=False, default=list),  # of lines that became no run
    Column("output_file", String(64), nullable=False, default=""),
    Column("error_file", String(64), nullable=False, default=""),
    Column("total", Integer, nullable=False, default=0),  # lines
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("cancelling", Double),
    Column("ended", Double),
    Index("ix_orders_created", "created", "id"),
)

files = Table(
    "files",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(512), nullable=False),  # as the client called it; never a path of ours
    Column("purpose", String(32), nullable=False),
    Column("path", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("owner", String(128), nullable=False, default=""),
    Column("facts", JSON, nullable=False, default=dict),  # width, height, frames, fps; empty: no video
    Column("created", Double, nullable=False),
    Index("ix_files_created", "created", "id"),
)

keys = Table(
    "keys",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),  # hex SHA-256 of the key; the key is kept nowhere
    Column("created", Double, nullable=False),
    Column("revoked", Double),
)

controls = Table(
    "controls",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated", Double, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("engine", String(64), nullable=False),
    Column("device", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("trouble", Text, nullable=False, default=""),  # what keeps it from working
    Column("batch", Integer),
    Column("outlook", JSON, nullable=False, default=dict),  # what it means to do next
    Column("started", Double, nullable=False),
    Column("seen", Double, nullable=False),
    Column("ended", Double),
)

tallies = Table(
    "tallies",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("label", String(64), primary_key=True),  # of a histogram: its bucket, "sum" or "count"; else ""
    Column("value", Double, nullable=False),
)
