"""Store the attempts of runs whose videos have to reach scores."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the columns; runs of earlier versions have no rule."""
    op.add_column("runs", sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("acceptance", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("runs", "acceptance")
    op.drop_column("runs", "tries")
