"""Alembic's way in: the connection comes from `imsd.store.migrate`."""

from alembic import context

from imsd.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
