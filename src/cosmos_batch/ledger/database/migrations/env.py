"""Run by Alembic, inside the transaction of the connection that it is handed."""

from alembic import context

from cosmos_batch.ledger.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
context.run_migrations()
