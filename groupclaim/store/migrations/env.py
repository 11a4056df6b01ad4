"""Runs migrations inside the transaction that ``database.migrate`` has begun."""

from __future__ import annotations

from alembic import context

from groupclaim.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite's schema changes are transactional; Alembic only assumes that its driver is not.
    transactional_ddl=True,
)
context.run_migrations()
