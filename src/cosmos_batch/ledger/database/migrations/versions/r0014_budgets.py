"""Store how much engine time a tenant may use in a day or a month."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the table; no tenant has a budget."""
    op.create_table(
        "budgets",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("period", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_budgets"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("budgets")
