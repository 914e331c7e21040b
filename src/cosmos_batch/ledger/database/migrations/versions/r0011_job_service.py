"""Name the service that has the files of a batch job, where several share the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column; any service advances the jobs of before."""
    op.add_column("batch_jobs", sa.Column("service", sa.String(32), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("batch_jobs", "service")
