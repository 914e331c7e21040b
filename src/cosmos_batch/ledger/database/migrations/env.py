"""Alembic environment: migrate inside the transaction of the connection in the configuration."""

from alembic import context

from cosmos_batch.ledger.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
context.run_migrations()
