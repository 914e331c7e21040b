"""Tables and columns of a service: owners, orders, files, keys, controls, workers and tallies."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _new_in_runs() -> list[sa.Column[Any]]:
    return [
        sa.Column("prompt", sa.Text(), nullable=False, server_default=""),
        sa.Column("signature", sa.String(length=200), nullable=False, server_default=""),
        sa.Column("kind", sa.String(length=200), nullable=False, server_default=""),
        sa.Column("owner", sa.String(length=128), nullable=False, server_default=""),
        sa.Column("order_id", sa.String(length=64), nullable=False, server_default=""),
        sa.Column("custom_id", sa.String(length=512), nullable=False, server_default=""),
        sa.Column("line", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("facts", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("wish", sa.String(length=16), nullable=False, server_default=""),
        sa.Column("not_before", sa.Double(), nullable=False, server_default="0"),
        sa.Column("deaths", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lone_deaths", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("death_step", sa.Integer(), nullable=True),
        sa.Column("alone_seconds", sa.Double(), nullable=True),
        sa.Column("rating", sa.Integer(), nullable=True),
    ]


def _new_in_batches() -> list[sa.Column[Any]]:
    return [
        sa.Column("worker", sa.String(length=128), nullable=False, server_default=""),
        sa.Column("seconds", sa.Double(), nullable=True),
    ]


def upgrade() -> None:
    """Add the columns and make the tables."""
    for column in _new_in_runs():
        op.add_column("runs", column)
    for column in _new_in_batches():
        op.add_column("batches", column)
    op.create_index("ix_runs_created", "runs", ["created", "id"])
    op.create_index("ix_runs_order", "runs", ["order_id", "line"])
    op.create_index("ix_runs_wish", "runs", ["wish"])
    op.create_index("ix_batches_ended", "batches", ["ended"])
    op.create_index("ix_attempts_open", "attempts", ["ended", "lease_until"])
    with op.batch_alter_table("events", recreate="always", table_kwargs={"sqlite_autoincrement": True}):
        pass  # ids are not used twice from now on
    _make_submissions()
    _make_orders()
    _make_files_and_keys()
    _make_the_workers_tables()


def _make_submissions() -> None:
    op.create_table(
        "submissions",
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=128), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_submissions_run_runs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name="pk_submissions"),
    )
    op.create_index("ix_submissions_run", "submissions", ["run"])


def _make_orders() -> None:
    op.create_table(
        "orders",
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
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
    )
    op.create_index("ix_orders_created", "orders", ["created", "id"])


def _make_files_and_keys() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=512), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    op.create_index("ix_files_created", "files", ["created", "id"])
    op.create_table(
        "keys",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("revoked", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_keys"),
        sa.UniqueConstraint("hash", name="uq_keys_hash"),
    )


def _make_the_workers_tables() -> None:
    op.create_table(
        "controls",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_controls"),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("engine", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.Column("outlook", sa.JSON(), nullable=False),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("seen", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "tallies",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", name="pk_tallies"),
    )


def downgrade() -> None:
    """Drop the tables and the columns."""
    for table in ("tallies", "workers", "controls", "keys", "files", "orders", "submissions"):
        op.drop_table(table)
    for name, table in (
        ("ix_attempts_open", "attempts"),
        ("ix_batches_ended", "batches"),
        ("ix_runs_wish", "runs"),
        ("ix_runs_order", "runs"),
        ("ix_runs_created", "runs"),
    ):
        op.drop_index(name, table)
    for column in _new_in_batches():
        op.drop_column("batches", column.name)
    for column in _new_in_runs():
        op.drop_column("runs", column.name)
