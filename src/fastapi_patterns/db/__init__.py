"""SQLAlchemy sessions that commit before the response is sent, sync and async.

Needs the extra `db`; `AsyncDatabase` needs `async-db`, and is only imported when it is used.
"""

from typing import TYPE_CHECKING

from fastapi_patterns._optional import require

require(
    "sqlalchemy",
    extra="db",
    room="fastapi_patterns.db",
    more="For AsyncDatabase it is 'fastapi-patterns[async-db]'.",
)

from fastapi_patterns.db.failures import (  # noqa: E402 (the check above comes first)
    DatabaseUnavailableError,
    SessionClosedError,
    exception_map,
)
from fastapi_patterns.db.sync import Database  # noqa: E402

if TYPE_CHECKING:
    from fastapi_patterns.db.asynchronous import AsyncDatabase as AsyncDatabase

__all__ = ["AsyncDatabase", "Database", "DatabaseUnavailableError", "SessionClosedError", "exception_map"]

if not TYPE_CHECKING:  # see the package's root

    def __getattr__(name: str) -> object:
        if name != "AsyncDatabase":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Since SQLAlchemy 2.1 greenlet only comes with `sqlalchemy[asyncio]`.
        require("greenlet", extra="async-db", room="fastapi_patterns.db.AsyncDatabase")
        from fastapi_patterns.db.asynchronous import AsyncDatabase

        return AsyncDatabase
