"""Index the ids of runs without case, so that an id that differs from a known one by case alone is found."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Build the index."""
    op.create_index("ix_runs_lower_id", "runs", [sa.text("lower(id)")])


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("ix_runs_lower_id", "runs")
