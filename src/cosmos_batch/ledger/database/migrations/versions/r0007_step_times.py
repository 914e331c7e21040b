"""Store the predicted load before a batch, and when the first and the latest step of an attempt were recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns; of earlier attempts the times are not known."""
    op.add_column("batches", sa.Column("load_seconds", sa.Double(), nullable=False, server_default="0"))
    op.add_column("attempts", sa.Column("first_step", sa.Integer(), nullable=True))
    op.add_column("attempts", sa.Column("first_step_at", sa.Double(), nullable=True))
    op.add_column("attempts", sa.Column("step_at", sa.Double(), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    for column in ("step_at", "first_step_at", "first_step"):
        op.drop_column("attempts", column)
    op.drop_column("batches", "load_seconds")
