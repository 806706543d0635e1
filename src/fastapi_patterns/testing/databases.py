"""The application's databases, as the plugin finds them: resources of its stack, and what `fastapi_get_db` names."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from sqlalchemy import MetaData
from sqlalchemy.orm import Session

from fastapi_patterns.db import Database
from fastapi_patterns.db._guard import database_of
from fastapi_patterns.exceptions import MissingExtraError
from fastapi_patterns.stack import stack_of
from fastapi_patterns.testing._config import load, setting
from fastapi_patterns.testing._overrides import is_dependency

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from fastapi_patterns.db import AsyncDatabase

__all__ = ["NO_DATABASE", "Databases"]

NO_DATABASE = (
    "The application has no database that the plugin knows. Register one with "
    "install_stack(app, resources=[database]) or name it: fastapi_get_db = 'package.module:database'. A dependency "
    "of the application's own: fastapi_get_db = 'package.module:get_db' and fastapi_metadata = 'package.module:Base'."
)
_NOT_A_DEPENDENCY = (
    "fastapi_get_db = '{name}': no route of the application depends on it, so its sessions would be the real ones. "
    "Name the function that stands in Depends(...)."
)


class Databases:
    """The databases of one application.

    Args:
        app: The application; the databases are the resources of its stack.
        config: May name a database, or a `get_db` of the application's own.

    Attributes:
        sync: Those that are a `Database`.
        asynchronous: Those that are an `AsyncDatabase`.
        overrides: What stands in for a `get_db` of the application's own.
    """

    def __init__(self, app: FastAPI, config: pytest.Config) -> None:
        stack = stack_of(app)
        resources = stack.resources if stack else ()
        self.sync = [resource for resource in resources if isinstance(resource, Database)]
        self.asynchronous = _async_databases(resources)
        self.overrides: dict[Any, Callable[[], Any]] = {}
        self._app = app
        if setting(config, "fastapi_get_db"):
            self._add(load(config, "fastapi_get_db"), config)

    @property
    def all(self) -> "list[Database | AsyncDatabase]":
        """Both kinds."""
        return [*self.sync, *self.asynchronous]

    def _add(self, get_db: Any, config: pytest.Config) -> None:
        """Add what `fastapi_get_db` names: a dependency of the application's own, or a database without the stack."""
        ours = database_of(get_db) or get_db
        if isinstance(ours, Database):
            self.sync = [*(each for each in self.sync if each is not ours), ours]
        elif _async_databases([ours]):
            self.asynchronous = [*(each for each in self.asynchronous if each is not ours), ours]
        else:
            metadata = _metadata(load(config, "fastapi_metadata"))
            if not is_dependency(self._app, get_db):
                raise pytest.UsageError(_NOT_A_DEPENDENCY.format(name=setting(config, "fastapi_get_db")))
            if inspect.isasyncgenfunction(get_db) or inspect.iscoroutinefunction(get_db):
                from sqlalchemy.ext.asyncio import AsyncSession

                from fastapi_patterns.db import AsyncDatabase

                made = _session_class(get_db, AsyncSession)
                self.asynchronous.append(AsyncDatabase("sqlite://", metadata=metadata, session_class=made))
                self.overrides[get_db] = _async_stand_in(self.asynchronous[-1])
            else:
                made = _session_class(get_db, Session)
                self.sync.append(Database("sqlite://", metadata=metadata, session_class=made))
                self.overrides[get_db] = _stand_in(self.sync[-1])


def _async_databases(resources: Iterable[object]) -> "list[AsyncDatabase]":
    try:
        from fastapi_patterns.db import AsyncDatabase
    except MissingExtraError:  # without greenlet there can be none
        return []
    return [resource for resource in resources if isinstance(resource, AsyncDatabase)]


def _session_class(get_db: Any, kind: type[Any]) -> type[Any]:
    """The class of the sessions that `get_db` makes, such as SQLModel's: by the names that its code reads."""
    code, names = getattr(get_db, "__code__", None), getattr(get_db, "__globals__", {})
    for name in getattr(code, "co_names", ()):
        found = names.get(name)
        found = getattr(found, "session_factory", found)  # of a scoped_session
        found = getattr(found, "class_", found)  # of a sessionmaker
        if isinstance(found, type) and issubclass(found, kind):
            return found
    return kind


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
