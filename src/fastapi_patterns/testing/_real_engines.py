"""Keeps a test out of the application's own database where code goes around the `Database`, with an engine it kept."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import URL, Engine, event

from fastapi_patterns.db import Database
from fastapi_patterns.exceptions import ConfigurationError

if TYPE_CHECKING:
    from fastapi_patterns.db import AsyncDatabase

__all__ = ["refuse_real_engines"]


@contextmanager
def refuse_real_engines(databases: "Iterable[Database | AsyncDatabase]") -> Iterator[None]:
    """Refuse connections of the engines that these databases have outside of tests.

    Before anything is sent: neither a new connection is opened nor one taken from the pool.
    """
    listeners = [
        (engine, name, _refuse)
        for engine in {id(found): found for found in map(_engine_of, databases) if found is not None}.values()
        for name in ("do_connect", "checkout")
    ]
    for listener in listeners:
        event.listen(*listener)
    try:
        yield
    finally:
        for listener in listeners:
            event.remove(*listener)


def _engine_of(database: Any) -> Engine | None:
    """The engine that somebody may have kept; None while there is none, since a bound database gives the test's."""
    if database._maker is None and isinstance(database._source, URL):
        return None
    try:
        engine = database.engine
    except ConfigurationError:  # a sessionmaker without one
        return None
    return getattr(engine, "sync_engine", engine)  # type: ignore[no-any-return]


def _refuse(*_: object) -> NoReturn:
    raise ConfigurationError(
        "This code opened a connection of the application's own engine in a test, and would have written to its real "
        "database: the plugin binds the Database, and an engine that was kept beside it goes around that. Use "
        "Depends(database.session), database.session_scope() or database.create_all(), or ask database.engine each time"
    )
