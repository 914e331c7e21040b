"""Store the key of the request that the guardrail blocked, which does not depend on the spelling of its paths."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; of earlier runs the key is not known."""
    op.add_column("runs", sa.Column("blocked_key", sa.String(32), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("runs", "blocked_key")
