"""What Alembic runs: the migrations, over the connection and in the transaction that it is given."""

from __future__ import annotations

from alembic import context

from epaas_server.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can do it too, once its driver does not commit by itself
)
with context.begin_transaction():
    context.run_migrations()
