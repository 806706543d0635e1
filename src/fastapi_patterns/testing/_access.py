"""Sync work on a PostgreSQL database, whichever driver is installed: tables are made, rows are put back."""

import asyncio
import threading
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar

import pytest
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine

__all__ = ["APPLICATION_NAME", "Access", "in_a_thread"]

R = TypeVar("R")

# What `pg_stat_activity` calls the connections of the tests.
APPLICATION_NAME = "fastapi-patterns tests"

_CONNECT_TIMEOUT_S = 10
_SYNC_DRIVERS = ("psycopg", "psycopg2")


class Access:
    """Runs functions on connections to one database.

    Args:
        url: The database; its driver is not looked at.
        kept: Whether a connection stays open for the next function.

    Raises:
        pytest.UsageError: No driver is installed.
    """

    def __init__(self, url: URL, *, kept: bool = False) -> None:
        driver = next((name for name in (*_SYNC_DRIVERS, "asyncpg") if find_spec(name) is not None), None)
        if driver is None:
            raise pytest.UsageError(
                "fastapi_db is a PostgreSQL, and no driver for it is installed: "
                "pip install 'fastapi-patterns[postgres]'"
            )
        self.url = url.set(drivername=f"postgresql+{driver}")
        self._engine: Engine | None = None
        if driver in _SYNC_DRIVERS:
            connect = {"application_name": APPLICATION_NAME, "connect_timeout": _CONNECT_TIMEOUT_S}
            options: dict[str, Any] = {"pool_pre_ping": True} if kept else {"poolclass": NullPool}
            self._engine = create_engine(self.url, connect_args=connect, **options)

    @property
    def engine(self) -> Engine | None:
        """The sync engine; None where only asyncpg is installed."""
        return self._engine

    def run(self, function: Callable[[Connection], R], **execution_options: Any) -> R:
        """Call a function with a connection in a transaction, which is committed."""
        if self._engine is None:
            return in_a_thread(lambda: asyncio.run(self._run_async(function, execution_options)))
        with self._engine.connect().execution_options(**execution_options) as connection, connection.begin():
            return function(connection)

    def close(self) -> None:
        """Close what stayed open."""
        if self._engine is not None:
            self._engine.dispose()

    async def _run_async(self, function: Callable[[Connection], R], execution_options: dict[str, Any]) -> R:
        from sqlalchemy.ext.asyncio import create_async_engine

        connect = {"timeout": _CONNECT_TIMEOUT_S, "server_settings": {"application_name": APPLICATION_NAME}}
        engine = create_async_engine(self.url, connect_args=connect, poolclass=NullPool)
        async with engine.connect() as connection:
            await connection.execution_options(**execution_options)
            async with connection.begin():
                return await connection.run_sync(function)


def in_a_thread(function: Callable[[], R]) -> R:
    """Call a function in a thread of its own, where no event loop runs, and wait for it."""
    results: list[R] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:  # raised again by whoever waits
            errors.append(error)

    thread = threading.Thread(target=call, name="fastapi-patterns-tests")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
