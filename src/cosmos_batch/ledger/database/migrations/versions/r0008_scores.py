"""Store the scores of published videos."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; videos of earlier versions have no scores."""
    op.add_column("runs", sa.Column("scores", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("runs", "scores")
