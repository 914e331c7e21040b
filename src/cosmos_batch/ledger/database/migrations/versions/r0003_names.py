"""Rename tables and columns to the words of the code: batch jobs, API keys, settings, counters, crashes.

The large tables (runs, attempts, events) are not rewritten: a renamed column changes the schema only, and of the
indexes the two that are named after a renamed column are built again. The small tables are copied, so that their
constraints get the new names on every database.
"""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_COLUMNS = (
    ("runs", "kind", "shape_label"),
    ("runs", "order_id", "batch_job_id"),
    ("runs", "wish", "requested_action"),
    ("runs", "deaths", "crashes"),
    ("runs", "lone_deaths", "lone_crashes"),
    ("runs", "death_step", "crash_step"),
    ("limits", "runs", "max_runs"),
    ("workers", "outlook", "forecast"),
    ("workers", "seen", "heartbeat"),
)


def upgrade() -> None:
    """Rename the columns, copy the small tables."""
    for table, old, new in _COLUMNS:
        op.alter_column(table, old, new_column_name=new)
    _rename_index("ix_runs_order", "ix_runs_batch_job", ["batch_job_id", "line"])
    _rename_index("ix_runs_wish", "ix_runs_requested_action", ["requested_action"])
    op.drop_index("ix_orders_created", "orders")
    _copy("orders", "batch_jobs", _make_batch_jobs)
    _copy("keys", "api_keys", _make_api_keys)
    _copy("controls", "settings", _make_settings)
    _copy("tallies", "counters", _make_counters)
    op.create_index("ix_batch_jobs_created", "batch_jobs", ["created", "id"])


def downgrade() -> None:
    """Rename the columns back, copy the small tables back."""
    op.drop_index("ix_batch_jobs_created", "batch_jobs")
    _copy("counters", "tallies", _make_counters)
    _copy("settings", "controls", _make_settings)
    _copy("api_keys", "keys", _make_api_keys)
    _copy("batch_jobs", "orders", _make_batch_jobs)
    op.create_index("ix_orders_created", "orders", ["created", "id"])
    for table, old, new in _COLUMNS:
        op.alter_column(table, new, new_column_name=old)
    _rename_index("ix_runs_requested_action", "ix_runs_wish", ["wish"])
    _rename_index("ix_runs_batch_job", "ix_runs_order", ["order_id", "line"])


def _rename_index(old: str, new: str, columns: list[str]) -> None:
    """Give an index of `runs` another name; SQLite can only build it again."""
    if op.get_context().dialect.name == "sqlite":
        op.drop_index(old, "runs")
        op.create_index(new, "runs", columns)
    else:
        op.execute(f"ALTER INDEX {old} RENAME TO {new}")


def _copy(old: str, new: str, make: Callable[[str], sa.Table]) -> None:
    """Make the table `new` and move the rows of `old` there."""
    columns = ", ".join(f'"{column.name}"' for column in make(new).columns)
    op.execute(f"INSERT INTO {new} ({columns}) SELECT {columns} FROM {old}")
    op.drop_table(old)


def _make_batch_jobs(name: str) -> sa.Table:
    return op.create_table(
        name,
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("input_file", sa.String(length=64), nullable=False),
        sa.Column("endpoint", sa.String(length=128), nullable=False),
        sa.Column("window", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("errors", sa.JSON(), nullable=False),
        sa.Column("output_file", sa.String(length=64), nullable=False),
        sa.Column("error_file", sa.String(length=64), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("started", sa.Double(), nullable=True),
        sa.Column("cancelling", sa.Double(), nullable=True),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
    )


def _make_api_keys(name: str) -> sa.Table:
    return op.create_table(
        name,
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("revoked", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=f"pk_{name}"),
        sa.UniqueConstraint("hash", name=f"uq_{name}_hash"),
    )


def _make_settings(name: str) -> sa.Table:
    return op.create_table(
        name,
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=f"pk_{name}"),
    )


def _make_counters(name: str) -> sa.Table:
    return op.create_table(
        name,
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", name=f"pk_{name}"),
    )
