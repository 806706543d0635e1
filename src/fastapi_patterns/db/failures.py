"""What a client reads when the database fails: never SQL, a driver's name or a value."""

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fastapi_patterns.exceptions import ErrorInfo, ExceptionMap

__all__ = ["exception_map"]

# SQLSTATE of a unique violation (PostgreSQL), and the codes of SQLite for a unique or primary key.
_UNIQUE_SQLSTATE = "23505"
_UNIQUE_SQLITE = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"})
_LOCKED_SQLITE = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED"})

_UNAVAILABLE = ErrorInfo(status=503, detail="The database is not available", headers={"Retry-After": "1"})


def exception_map() -> ExceptionMap:
    """Map SQLAlchemy's failures to answers, for `install_error_handlers` or `install_stack`.

    HTTP:
        A unique violation: 409. No connection within the pool's timeout, a lost one, or a SQLite that another writer
        keeps locked: 503 with `Retry-After`. Any other failure is a mistake in the code and stays unhandled: 500.
    """
    return {IntegrityError: _conflict, PoolTimeoutError: _UNAVAILABLE, DBAPIError: _lost}


def _conflict(error: IntegrityError) -> ErrorInfo | None:
    original = error.orig
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if state == _UNIQUE_SQLSTATE or getattr(original, "sqlite_errorname", None) in _UNIQUE_SQLITE:
        return ErrorInfo(status=409, detail="This already exists")
    return None


def _lost(error: DBAPIError) -> ErrorInfo | None:
    if getattr(error.orig, "sqlite_errorname", None) in _LOCKED_SQLITE:
        return _UNAVAILABLE
    # A connection that could not be made, or that broke in use. SQLite has no server to lose: there OperationalError
    # means a missing table, say, as ProgrammingError does elsewhere.
    on_sqlite = type(error.orig).__module__.partition(".")[0] in ("sqlite3", "aiosqlite")
    refused = isinstance(error, (OperationalError, InterfaceError)) and not on_sqlite
    return _UNAVAILABLE if error.connection_invalidated or refused else None
