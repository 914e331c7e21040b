"""Tables of the ledger. Times are seconds since 1970 (UTC), which every database stores alike."""

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
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigId = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up columns of the type INTEGER alone

runs = Table(
    "runs",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("fingerprint", String(32), nullable=False),
    Column("request", JSON, nullable=False),  # the Run as a JSON object
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("cause", Text, nullable=False, default=""),  # the reason for its state; "": none needed
    Column("failures", Integer, nullable=False, default=0),  # failed attempts that count against the run
    Column("predicted_seconds", Double),  # its share of its latest batch
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("prompt", Text, nullable=False, default=""),  # as in the request, for text search
    Column("signature", String(200), nullable=False, default=""),  # active controls: "depth+edge"
    Column("shape_label", String(200), nullable=False, default=""),  # controls and size in words, to group by
    Column("owner", String(128), nullable=False, default=""),  # name of the API key that submitted it
    Column("batch_job_id", String(64), nullable=False, default=""),  # "": submitted alone
    Column("custom_id", String(512), nullable=False, default=""),  # its name in the file of the batch job
    Column("line", Integer, nullable=False, default=0),  # its line in that file
    Column("facts", JSON, nullable=False, default=dict),  # VideoInfo of each of its videos, by path
    Column("warnings", JSON, nullable=False, default=list),  # the fields of each Problem of level "warning"
    Column(
        "requested_action", String(16), nullable=False, default=""
    ),  # "cancel": its worker drops it at the next step; "publish": it is too late for that
    Column("not_before", Double, nullable=False, default=0.0),  # not claimed before this time
    Column("crashes", Integer, nullable=False, default=0),  # workers that died while executing it
    Column("lone_crashes", Integer, nullable=False, default=0),  # of those, the ones that executed no other run
    Column("crash_step", Integer),  # denoising steps done at the latest lone crash
    Column("silences", Integer, nullable=False, default=0),  # workers that fell silent while executing it
    Column("alone_seconds", Double),  # predicted for a launch of this run alone
    Column("blocked_key", String(32), nullable=False, default=""),  # of the request that was blocked; "": none
    Column("rating", Integer),  # 1 to 5, given by a viewer of the video
    Column("scores", JSON, nullable=False, default=dict),  # of its published video, by name; empty: none
    Column("tries", Integer, nullable=False, default=0),  # attempts whose videos its rule has not accepted yet
    Column("acceptance", JSON, nullable=False, default=dict),  # these attempts and the verdict; empty: no rule
    Index("ix_runs_waiting", "state", "priority", "created"),
    Index("ix_runs_created", "created", "id"),
    Index("ix_runs_batch_job", "batch_job_id", "line"),
    Index("ix_runs_requested_action", "requested_action"),
    Index("ix_runs_lower_id", text("lower(id)")),  # ids that differ by case alone are refused
)

submissions = Table(
    "submissions",  # idempotency keys of submitted runs
    metadata,
    Column("key", String(400), primary_key=True),
    Column("digest", String(64), nullable=False),  # of the request
    Column("run", String(128), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created", Double, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("engine", String(64), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("size", Integer, nullable=False),  # runs in it
    Column("predicted_seconds", Double, nullable=False),
    Column("predicted_bytes", BigInteger, nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
    Column("cause", Text, nullable=False, default=""),  # why it ended early; "": it did not
    Column("worker", String(128), nullable=False, default=""),
    Column("seconds", Double),  # of engine time; null while it runs
    Column("load_seconds", Double, nullable=False, default=0.0),  # predicted for the model load before it
    Index("ix_batches_ended", "ended"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("run", String(128), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("batch", BigId, ForeignKey("batches.id"), nullable=False, index=True),
    Column("worker", String(128), nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
    Column("outcome", String(16)),  # state of the run after the attempt; null while it runs
    Column("cause", Text, nullable=False, default=""),
    Column("step", Integer, nullable=False, default=0),
    Column("steps", Integer, nullable=False, default=0),
    Column("first_step", Integer),  # the step that was recorded first; null before it
    Column("first_step_at", Double),  # when that was
    Column("step_at", Double),  # when the latest step was recorded
    Index("ix_attempts_open", "ended", "lease_until"),
)

events = Table(
    "events",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("run", String(128), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("state", String(16), nullable=False),  # the state that the run changed to
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_autoincrement=True,  # readers follow changes by id, so that a deleted id must not be used again
    # On Postgres ids are given in the order of transactions, by `dialects.PostgresDialect.record`.
)

measurements = Table(
    "measurements",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("batch", BigId, ForeignKey("batches.id")),  # null: measured outside a batch
    Column("engine", String(64), nullable=False),
    Column("device", String(128), nullable=False),
    Column("facts", JSON, nullable=False),  # the fields of a planning.cost.Measurement
    Column("at", Double, nullable=False),
    Index("ix_measurements_engine", "engine", "device"),
)

limits = Table(
    "limits",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("engine", String(64), nullable=False),
    Column("device", String(128), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("max_runs", Integer, nullable=False),  # largest batch of this shape that fits in memory
    Column("at", Double, nullable=False),
    Index("ix_limits_engine", "engine", "device"),
)

batch_jobs = Table(
    "batch_jobs",  # a batch of the Batches API: a file with a request in each line
    metadata,
    Column("id", String(64), primary_key=True),
    Column("input_file", String(64), nullable=False),
    Column("endpoint", String(128), nullable=False),
    Column("window", String(16), nullable=False),  # as the client gave it: "24h"
    Column("state", String(16), nullable=False),
    Column("details", JSON, nullable=False, default=dict),  # metadata of the client
    Column("owner", String(128), nullable=False, default=""),
    Column("errors", JSON, nullable=False, default=list),  # of lines that gave no run
    Column("output_file", String(64), nullable=False, default=""),
    Column("error_file", String(64), nullable=False, default=""),
    Column("total", Integer, nullable=False, default=0),  # lines
    Column("service", String(32), nullable=False, default=""),  # id of the service that has its files; "": any
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("cancelling", Double),
    Column("ended", Double),
    Index("ix_batch_jobs_created", "created", "id"),
)

files = Table(
    "files",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(512), nullable=False),  # the client's name for it; never a path on this machine
    Column("purpose", String(32), nullable=False),
    Column("path", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("owner", String(128), nullable=False, default=""),
    Column("facts", JSON, nullable=False, default=dict),  # width, height, frames, fps; empty: no video
    Column("created", Double, nullable=False),
    Index("ix_files_created", "created", "id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),  # hex SHA-256 of the key, which is not stored
    Column("tenant", String(64), nullable=False, default=""),  # who pays for its runs; "": not said
    Column("created", Double, nullable=False),
    Column("revoked", Double),
)

usage = Table(
    "usage",  # engine time of ended batches; it stays when runs are deleted
    metadata,
    Column("day", String(10), primary_key=True),  # of the batch's end, UTC: "2026-11-30"
    Column("tenant", String(64), primary_key=True),  # of the runs' keys; "": none
    Column("model", String(64), primary_key=True),  # the engine
    Column("seconds", Double, nullable=False),  # of engines
    Column("runs", Integer, nullable=False),  # that succeeded
)

budgets = Table(
    "budgets",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("seconds", Double, nullable=False),  # of engines, in each period
    Column("period", String(8), nullable=False),  # "day" or "month", UTC
)

settings = Table(
    "settings",
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
    Column("trouble", Text, nullable=False, default=""),  # why it cannot work; "": it can
    Column("batch", BigId),
    Column("forecast", JSON, nullable=False, default=dict),  # its planned launches, as JSON
    Column("started", Double, nullable=False),
    Column("heartbeat", Double, nullable=False),
    Column("ended", Double),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("label", String(64), primary_key=True),  # of a histogram: bucket, "sum" or "count"; else ""
    Column("value", Double, nullable=False),
)
