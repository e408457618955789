"""Alembic's environment for every chain: the core's own, and one for each plugin with tables."""

from alembic import context

config = context.config
attributes = config.attributes

context.configure(
    connection=attributes["connection"],
    target_metadata=attributes["metadata"],
    version_table=attributes["version_table"],
    include_object=attributes["include_object"],
    render_as_batch=True,
    compare_type=False,
    # On SQLite the one transaction is the lock too: whoever starts at the same time waits, and finds it done.
    transaction_per_migration=attributes["connection"].dialect.name != "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
