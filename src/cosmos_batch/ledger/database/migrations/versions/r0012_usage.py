"""Store the engine time of each day by tenant and model, and the tenants of API keys."""

from collections import Counter
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add table and column; the time of earlier batches is stored without a tenant."""
    op.add_column("api_keys", sa.Column("tenant", sa.String(64), nullable=False, server_default=""))
    usage = op.create_table(
        "usage",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "tenant", "model", name="pk_usage"),
    )
    _store_earlier(usage)


def _store_earlier(usage: sa.Table) -> None:
    connection = op.get_bind()
    seconds: Counter[tuple[str, str]] = Counter()
    runs: Counter[tuple[str, str]] = Counter()
    ended = "SELECT engine, ended, seconds FROM batches WHERE ended IS NOT NULL AND seconds IS NOT NULL"
    for engine, at, taken in connection.execute(sa.text(ended)):
        seconds[_day(at), engine] += taken
    made = (
        "SELECT batches.engine, batches.ended FROM attempts JOIN batches ON batches.id = attempts.batch"
        " WHERE attempts.outcome = 'succeeded' AND batches.ended IS NOT NULL AND batches.seconds IS NOT NULL"
    )
    for engine, at in connection.execute(sa.text(made)):
        runs[_day(at), engine] += 1
    rows = [
        {"day": day, "tenant": "", "model": model, "seconds": taken, "runs": runs[day, model]}
        for (day, model), taken in seconds.items()
    ]
    if rows:
        connection.execute(sa.insert(usage), rows)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def downgrade() -> None:
    """Drop table and column."""
    op.drop_table("usage")
    op.drop_column("api_keys", "tenant")
