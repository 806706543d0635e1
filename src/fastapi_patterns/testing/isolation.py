"""Binds the application's databases for one test: to a transaction that is rolled back, or to a copy that may commit.

Binding the object, not overriding a dependency, is what reaches tasks, stores and `session_scope()` too.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from sqlalchemy import NullPool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_patterns.db import Database
from fastapi_patterns.db._guard import bound_only
from fastapi_patterns.testing._like import like
from fastapi_patterns.testing._real_engines import refuse_real_engines
from fastapi_patterns.testing.databases import NO_DATABASE, Databases
from fastapi_patterns.testing.engines import Engines

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from fastapi_patterns.db import AsyncDatabase

__all__ = ["Isolation"]

_TWO_LOOPS = (
    "The application's database is async, and works in one event loop: client runs the application in a loop of its "
    "own, async_client and async_db use the test's. Take the client away from this test, or those two."
)


class Isolation:
    """What one test does to the application's databases is gone after it.

    Args:
        app: The application.
        databases: Its databases.
        engines: Those of the tests.
        commits: Whether the test commits for good, in a database of its own; otherwise all is one transaction.
    """

    def __init__(self, app: FastAPI, databases: Databases, engines: Engines, *, commits: bool) -> None:
        self.commits = commits
        self._app = app
        self._databases = databases
        self._engines = engines
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def takes_turns(self) -> bool:
        """Whether requests that come at once must be served one after the other: they share a connection."""
        return not self.commits and bool(self._databases.sync or self._databases.asynchronous)

    @contextmanager
    def active(self, overrides: dict[Any, Any]) -> Iterator[None]:
        """Bind the databases; async ones that are rolled back follow in the loop that serves, or the test's."""
        router = self._app.router
        lifespan = router.lifespan_context
        with ExitStack() as opened:
            overrides.update(self._databases.overrides)
            opened.enter_context(refuse_real_engines(self._databases.all))
            if self.commits:
                self._bind_committed(opened)
            else:
                for database in self._databases.sync:
                    opened.enter_context(self._rolled_back(database))
                if self._databases.asynchronous:
                    router.lifespan_context = self._around(lifespan)
            try:
                yield
            finally:
                router.lifespan_context = lifespan

    @asynccontextmanager
    async def in_this_loop(self) -> AsyncIterator[None]:
        """Bind the async databases to a transaction on connections of the running loop."""
        if self.commits or not self._databases.asynchronous:
            yield
            return
        if self._loop is not None:
            pytest.fail(_TWO_LOOPS, pytrace=False)
        self._loop = asyncio.get_running_loop()
        try:
            async with AsyncExitStack() as opened:
                for database in self._databases.asynchronous:
                    await opened.enter_async_context(self._rolled_back_async(database))
                yield
        finally:
            self._loop = None

    @contextmanager
    def served(self) -> Iterator[None]:
        """Refuse databases that are not isolated, in what the application is called for meanwhile."""
        with bound_only(self._app.dependency_overrides):
            yield

    def serving(self, app: ASGIApp) -> ASGIApp:
        """The application, which refuses databases that are not isolated."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            with self.served():
                await app(scope, receive, send)

        return guarded

    @contextmanager
    def session(self, fixture: str) -> Iterator[Session]:
        """Open the test's own session on the first sync database."""
        if not self._databases.sync:
            name = "async_" + fixture
            pytest.fail(
                f"{fixture} is for a Database, and the application's is an AsyncDatabase: use {name} in an async test. "
                "In a plain function client.portal.call(f) writes rows, where f opens database.session_scope()"
                if self._databases.asynchronous
                else NO_DATABASE,
                pytrace=False,
            )
        session = self._databases.sync[0]._open()
        try:
            yield session
        finally:
            with _lost_connection():
                session.close()

    @asynccontextmanager
    async def async_session(self, fixture: str) -> "AsyncIterator[AsyncSession]":
        """Open the test's own session on the first async database."""
        if not self._databases.asynchronous:
            name = fixture.removeprefix("async_")
            pytest.fail(
                f"{fixture} is for an AsyncDatabase, and the application's is a Database: use {name}"
                if self._databases.sync
                else NO_DATABASE,
                pytrace=False,
            )
        session = self._databases.asynchronous[0]._open()
        try:
            yield session
        finally:
            with _lost_connection():
                await session.close()

    def _bind_committed(self, opened: ExitStack) -> None:
        databases = self._databases.all
        urls = opened.enter_context(self._engines.templates.committed(databases))
        for database, url in zip(databases, urls, strict=True):
            if isinstance(database, Database):
                engine = like(database, url).engine
                opened.callback(engine.dispose)
                opened.enter_context(database.bound_to(engine))
            else:
                # Without a pool, each connection is opened and closed in one loop: the test's, or the server's.
                opened.enter_context(database._bound_to(like(database, url, poolclass=NullPool).engine))

    @contextmanager
    def _rolled_back(self, database: Database) -> Iterator[None]:
        with self._engines.connection(database) as connection:
            transaction = connection.begin()
            try:
                with database.bound_to(connection):
                    yield
            finally:
                with _lost_connection():
                    transaction.rollback()

    @asynccontextmanager
    async def _rolled_back_async(self, database: "AsyncDatabase") -> AsyncIterator[None]:
        async with self._engines.async_connection(database) as connection:
            transaction = await connection.begin()
            try:
                async with database.bound_to(connection):
                    yield
            finally:
                with _lost_connection():
                    await transaction.rollback()

    def _around(self, lifespan: Any) -> Any:
        @asynccontextmanager
        async def isolated_lifespan(app: Any) -> AsyncIterator[Any]:
            async with AsyncExitStack() as opened:
                if self._loop is None:
                    await opened.enter_async_context(self.in_this_loop())
                elif self._loop is not asyncio.get_running_loop():
                    pytest.fail(_TWO_LOOPS, pytrace=False)
                async with lifespan(app) as state:
                    yield state

        return isolated_lifespan


@contextmanager
def _lost_connection() -> Iterator[None]:
    """Let the end of a transaction pass where the test has broken its connection: the server ended it then."""
    try:
        yield
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
