"""Give ids 64 bits on Postgres, and state changes ids in the order of their transactions.

A fleet that makes a million runs a day uses 32 bits up in about a year. SQLite's ids have 64 bits.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_IDS = (
    ("batches", "id"),
    ("attempts", "id"),
    ("attempts", "batch"),
    ("events", "id"),
    ("measurements", "id"),
    ("measurements", "batch"),
    ("limits", "id"),
    ("workers", "batch"),
)
_COUNTED = ("batches", "attempts", "measurements", "limits")  # by a sequence


def upgrade() -> None:
    """Change the types; the ids of state changes are given by `database.dialects` from now on."""
    if op.get_context().dialect.name == "sqlite":
        return
    for table, column in _IDS:
        op.alter_column(table, column, type_=sa.BigInteger())
    for table in _COUNTED:
        op.execute(f"ALTER SEQUENCE {_sequence(table)} AS BIGINT")
    counted = _sequence("events")
    op.alter_column("events", "id", server_default=None)
    op.execute(f"DROP SEQUENCE {counted}")


def downgrade() -> None:
    """Count the ids of state changes again; the types stay, since ids may need them."""
    if op.get_context().dialect.name == "sqlite":
        return
    op.execute("CREATE SEQUENCE events_id_seq OWNED BY events.id")
    op.execute("SELECT setval('events_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM events))")
    op.alter_column("events", "id", server_default=sa.text("nextval('events_id_seq')"))


def _sequence(table: str) -> str:
    """The sequence that counts a table's ids."""
    query = sa.select(sa.func.pg_get_serial_sequence(table, "id"))
    return str(op.get_bind().execute(query).scalar_one())
