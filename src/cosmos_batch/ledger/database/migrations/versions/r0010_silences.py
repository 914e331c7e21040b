"""Count the workers that fell silent while they executed a run."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; programs of the version before leave it at 0."""
    op.add_column("runs", sa.Column("silences", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("runs", "silences")
