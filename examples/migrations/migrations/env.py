"""Runs the migrations on the application's database, sync or async."""

import asyncio
from logging.config import fileConfig

from alembic import context
from sqlalchemy import Connection, NullPool
from sqlalchemy.ext.asyncio import AsyncEngine

from examples.migrations.app import database as of_the_application

config = context.config
if config.config_file_name is not None and config.cmd_opts is not None:  # on the command line, not in a test
    fileConfig(config.config_file_name, disable_existing_loggers=False)

database = config.attributes.get("database", of_the_application)  # a test passes one of its own
# An engine of its own: a migration may take longer than a statement of a request may.
engine = type(database)(database.engine.url, statement_timeout=None, poolclass=NullPool).engine


def migrate(connection: Connection) -> None:
    """Run what was asked for, as a whole or not at all."""
    if connection.dialect.name == "sqlite":
        # A table is changed by replacing it; with foreign keys on, the drop would delete the rows that refer to it.
        cursor = connection.connection.cursor()  # before the transaction, in which the setting has no effect
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.close()
    context.configure(
        connection=connection,
        target_metadata=database.metadata,
        render_as_batch=True,  # SQLite's ALTER TABLE knows little; batch mode replaces the table there
        transactional_ddl=True,  # true for PostgreSQL, and for SQLite with the engine above
    )
    with context.begin_transaction():
        context.run_migrations()


async def migrate_async(engine: AsyncEngine) -> None:
    """Do the same on an async engine."""
    async with engine.connect() as connection:
        await connection.run_sync(migrate)


if context.is_offline_mode():  # alembic upgrade head --sql
    context.configure(url=engine.url, target_metadata=database.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif isinstance(engine, AsyncEngine):
    asyncio.run(migrate_async(engine))
else:
    with engine.connect() as connection:
        migrate(connection)
