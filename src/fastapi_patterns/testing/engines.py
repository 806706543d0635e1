"""The engines of the test databases, on which each test has a connection."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, NullPool

from fastapi_patterns.db import Database
from fastapi_patterns.testing._like import like
from fastapi_patterns.testing.templates import Templates

if TYPE_CHECKING:
    from fastapi_patterns.db import AsyncDatabase

__all__ = ["Engines"]


class Engines:
    """The engines and connections of the test databases, kept for a whole test run where that is possible.

    Args:
        templates: Makes the databases.
    """

    def __init__(self, templates: Templates) -> None:
        self.templates = templates
        self._sync: dict[int, Database] = {}
        self._async: dict[int, AsyncDatabase] = {}

    @contextmanager
    def connection(self, database: Database) -> Iterator[Connection]:
        """Give the connection that tests have, one after the other.

        In between it is in the pool, which gives a new one where a test broke it, and takes off it what outlasts a
        transaction: a setting, a temporary table, an advisory lock.
        """
        found = self._sync.get(id(database))
        if found is None:
            template = self.templates.of(database)
            found = self._sync[id(database)] = like(database, template.url)
            template.fill(found.engine)
        with found.engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def async_connection(self, database: "AsyncDatabase") -> AsyncIterator[Any]:
        """Open a connection in the running loop."""
        template = self.templates.of(database)
        kept = self._async.get(id(database))
        if kept is None:
            # A connection to a server belongs to the loop that it was opened in, which ends with the test; one of
            # aiosqlite's belongs to none, and a database in memory is gone with it.
            in_memory = template.url.database is None
            kept = like(database, template.url, **({} if in_memory else {"poolclass": NullPool}))
            await template.fill_async(kept.engine)
            self._async[id(database)] = kept
        async with kept.engine.connect() as connection:
            yield connection

    def dispose(self) -> None:
        """Close everything."""
        for sync in self._sync.values():
            sync.engine.dispose()
        if self._async:
            asyncio.run(_dispose(list(self._async.values())))
        self.templates.close()


async def _dispose(databases: "list[AsyncDatabase]") -> None:
    for database in databases:
        await database.engine.dispose()
