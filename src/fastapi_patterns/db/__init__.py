"""SQLAlchemy sessions that commit before the response is sent, sync and async.

Needs the extra `db`; `AsyncDatabase` also needs a driver such as aiosqlite (extra `async-db`) or asyncpg (`postgres`).
"""

from fastapi_patterns._optional import require

require("sqlalchemy", extra="db", room="fastapi_patterns.db")

from fastapi_patterns.db.asynchronous import AsyncDatabase  # noqa: E402 (the check above comes first)
from fastapi_patterns.db.failures import exception_map  # noqa: E402
from fastapi_patterns.db.sync import Database  # noqa: E402

__all__ = ["AsyncDatabase", "Database", "exception_map"]
