"""Test databases: the application's `Database` objects are bound to one transaction a test, which is rolled back.

Binding the object, not overriding a dependency, is what reaches tasks, stores and `session_scope()` too.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, MetaData
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_patterns.db import Database
from fastapi_patterns.db._guard import bound_only, database_of
from fastapi_patterns.exceptions import MissingExtraError
from fastapi_patterns.stack import stack_of
from fastapi_patterns.testing._config import load, setting

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from fastapi_patterns.db import AsyncDatabase

__all__ = ["Databases"]

_NO_DATABASE = (
    "The application has no database that the plugin knows. Register one with "
    "install_stack(app, resources=[database]) or name it: fastapi_get_db = 'package.module:database'. A dependency "
    "of the application's own: fastapi_get_db = 'package.module:get_db' and fastapi_metadata = 'package.module:Base'."
)


class Databases:
    """The databases of one application, each beside an engine for tests that is made once a test run.

    Args:
        app: The application; the databases are the resources of its stack.
        config: Says where the test database is, and names a `get_db` of the application's own.
    """

    def __init__(self, app: FastAPI, config: pytest.Config) -> None:
        stack = stack_of(app)
        resources = stack.resources if stack else ()
        self._app = app
        self._url = setting(config, "fastapi_db")
        self._sync = [resource for resource in resources if isinstance(resource, Database)]
        self._async = _async_databases(resources)
        self._overrides: dict[Any, Callable[[], Any]] = {}
        if setting(config, "fastapi_get_db"):
            self._add(load(config, "fastapi_get_db"), config)
        self._engines: dict[int, Database] = {}
        self._connections: list[tuple[Database, Connection]] = []

    def _add(self, get_db: Any, config: pytest.Config) -> None:
        """Add what `fastapi_get_db` names: a dependency of the application's own, or a database without the stack."""
        ours = database_of(get_db) or get_db
        if isinstance(ours, Database):
            self._sync = [*(each for each in self._sync if each is not ours), ours]
        elif _async_databases([ours]):
            self._async = [*(each for each in self._async if each is not ours), ours]
        else:
            metadata = _metadata(load(config, "fastapi_metadata"))
            if inspect.isasyncgenfunction(get_db) or inspect.iscoroutinefunction(get_db):
                from fastapi_patterns.db import AsyncDatabase

                self._async.append(AsyncDatabase("sqlite://", metadata=metadata))
                self._overrides[get_db] = _async_stand_in(self._async[-1])
            else:
                self._sync.append(Database("sqlite://", metadata=metadata))
                self._overrides[get_db] = _stand_in(self._sync[-1])

    @property
    def has_any(self) -> bool:
        """Whether the application has a database."""
        return bool(self._sync or self._async)

    @contextmanager
    def isolated(self, overrides: dict[Any, Any]) -> Iterator[None]:
        """Bind every database for one test and roll back what it did.

        Async databases are bound inside the application's lifespan, in the event loop that serves the requests.
        """
        router = self._app.router
        lifespan = router.lifespan_context
        with ExitStack() as opened:
            for database in self._sync:
                connection = opened.enter_context(self._transaction(database))
                opened.enter_context(database.bound_to(connection))
                self._connections.append((database, connection))
            overrides.update(self._overrides)
            if self._async:
                router.lifespan_context = self._around(lifespan)
            try:
                yield
            finally:
                router.lifespan_context = lifespan
                self._connections.clear()

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
    def session(self) -> Iterator[Session]:
        """Open the test's own session on the first sync database."""
        if not self._connections:
            pytest.fail(
                "the db fixture is for a sync Database; the application's database is async"
                if self._async
                else _NO_DATABASE,
                pytrace=False,
            )
        database, _ = self._connections[0]
        session = database._open()
        try:
            yield session
        finally:
            session.close()

    def dispose(self) -> None:
        """Close the test engines."""
        for database in self._engines.values():
            database.engine.dispose()

    @contextmanager
    def _transaction(self, database: Database) -> Iterator[Connection]:
        engine = self._engine_of(database).engine
        with engine.connect() as connection:
            transaction = connection.begin()
            try:
                yield connection
            finally:
                transaction.rollback()

    def _engine_of(self, database: Database) -> Database:
        found = self._engines.get(id(database))
        if found is None:
            _require_metadata(database)
            found = Database(self._url, metadata=database.metadata)
            found.create_all()
            self._engines[id(database)] = found
        return found

    def _around(self, lifespan: Any) -> Any:
        @asynccontextmanager
        async def isolated_lifespan(app: Any) -> AsyncIterator[Any]:
            async with AsyncExitStack() as opened:
                for database in self._async:
                    await opened.enter_async_context(self._async_transaction(database))
                async with lifespan(app) as state:
                    yield state

        return isolated_lifespan

    @asynccontextmanager
    async def _async_transaction(self, database: "AsyncDatabase") -> AsyncIterator[None]:
        _require_metadata(database)
        async with type(database)(self._url, metadata=database.metadata) as tests:
            await tests.create_all()
            async with tests.engine.connect() as connection:
                transaction = await connection.begin()
                try:
                    async with database.bound_to(connection):
                        yield
                finally:
                    await transaction.rollback()


def _async_databases(resources: Iterable[object]) -> "list[AsyncDatabase]":
    try:
        from fastapi_patterns.db import AsyncDatabase
    except MissingExtraError:  # without greenlet there can be none
        return []
    return [resource for resource in resources if isinstance(resource, AsyncDatabase)]


def _stand_in(database: Database) -> Callable[[], Iterator[Session]]:
    """Stand in for the application's `get_db`: it does not commit, so a commit that is forgotten shows."""

    def get_db() -> Iterator[Session]:
        with database._open() as session:
            yield session

    return get_db


def _async_stand_in(database: "AsyncDatabase") -> "Callable[[], AsyncIterator[AsyncSession]]":
    """The same for an async one."""

    async def get_db() -> "AsyncIterator[AsyncSession]":
        async with database._open() as session:
            yield session

    return get_db


def _metadata(found: Any) -> MetaData:
    metadata = found if isinstance(found, MetaData) else getattr(found, "metadata", None)
    if not isinstance(metadata, MetaData):
        raise pytest.UsageError("fastapi_metadata must name a declarative Base or a MetaData")
    return metadata


def _require_metadata(database: "Database | AsyncDatabase") -> None:
    if database.metadata is None:
        pytest.fail(
            f"{database!r} was made without its tables: pass {type(database).__name__}(..., metadata=Base.metadata), "
            "so that tests can create them.",
            pytrace=False,
        )
