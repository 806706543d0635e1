"""What a client reads when the database fails: never SQL, a driver's name or a value."""

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fastapi_patterns.exceptions import ErrorInfo, ExceptionMap

__all__ = ["exception_map"]

# SQLSTATE of a unique violation (PostgreSQL), and the codes of SQLite for a unique or primary key.
_UNIQUE_SQLSTATE = "23505"
_UNIQUE_SQLITE = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"})

_UNAVAILABLE = ErrorInfo(status=503, detail="The database is not available", headers={"Retry-After": "1"})


def exception_map() -> ExceptionMap:
    """Map SQLAlchemy's failures to answers, for `install_error_handlers` or `install_stack`.

    HTTP:
        A unique violation: 409. Another broken constraint: 500, since the request was valid and the code was not.
        No connection within the pool's timeout, or a lost one: 503 with `Retry-After`.
    """
    return {
        IntegrityError: _integrity,
        PoolTimeoutError: _UNAVAILABLE,
        OperationalError: _lost,
        InterfaceError: _lost,
    }


def _integrity(error: IntegrityError) -> ErrorInfo:
    if is_unique_violation(error):
        return ErrorInfo(status=409, detail="This already exists")
    return ErrorInfo(status=500, detail="Internal Server Error")


def is_unique_violation(error: DBAPIError) -> bool:
    """Tell whether a unique or primary key refused a row, on PostgreSQL or SQLite."""
    original = error.orig
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    return state == _UNIQUE_SQLSTATE or getattr(original, "sqlite_errorname", None) in _UNIQUE_SQLITE


def _lost(error: DBAPIError) -> ErrorInfo:
    # SQLite has no server to lose: there the same class means a locked file or a missing table.
    locked = getattr(error.orig, "sqlite_errorname", None) in ("SQLITE_BUSY", "SQLITE_LOCKED")
    is_sqlite = hasattr(error.orig, "sqlite_errorname") or type(error.orig).__module__.startswith("sqlite3")
    if locked or error.connection_invalidated or not is_sqlite:
        return _UNAVAILABLE
    return ErrorInfo(status=500, detail="Internal Server Error")
