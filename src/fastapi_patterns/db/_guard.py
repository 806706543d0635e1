"""Keeps what the plugin's test client serves from opening a session on a database that no test has bound."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["bound_only", "check_bound", "database_of", "mark_dependency", "watchers"]

watchers: list[Callable[[Any], None]] = []
"""Called with each database on which a session is opened that no test has bound; the plugin puts one here."""

_MARK = "fastapi_patterns_database"
# The overrides of the application that a test client serves; None everywhere else. Threads and tasks inherit it.
_overrides: ContextVar[Mapping[Any, Any] | None] = ContextVar("fastapi_patterns_bound_only", default=None)


def mark_dependency(session: Callable[..., Any], database: object) -> None:
    """Note on a session dependency whose it is."""
    setattr(session, _MARK, database)


def database_of(call: object) -> Any:
    """Return the database whose session dependency this is, or None."""
    return getattr(call, _MARK, None)


@contextmanager
def bound_only(overrides: Mapping[Any, Any]) -> Iterator[None]:
    """Refuse sessions on databases that are not bound, unless the test overrides a database's dependency itself."""
    token = _overrides.set(overrides)
    try:
        yield
    finally:
        _overrides.reset(token)


def check_bound(database: Any) -> None:
    """Check that a session may be opened on a database that is not bound to a test's transaction.

    Raises:
        ConfigurationError: A test client serves this, and what is written would stay in the real database.
    """
    for watch in watchers:
        watch(database)
    overrides = _overrides.get()
    if overrides is None or any(database_of(call) is not None for pair in overrides.items() for call in pair):
        return
    raise ConfigurationError(
        f"{database!r} is not isolated in this test: the plugin does not know it, so what is written would stay. "
        "Register it with install_stack(app, resources=[database]) or, in an application without the stack, name it in "
        "the pytest configuration: fastapi_get_db = 'package.module:database'"
    )
