"""What a failure of the database means, and what a client reads of it: never SQL, a driver's name or a value.

Pure: decisions over SQLAlchemy's exceptions. `Database.exception_map()` is how an application gets them.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import MetaData, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fastapi_patterns.exceptions import ErrorInfo, ExceptionMap, PatternsError

__all__ = [
    "DatabaseUnavailableError",
    "SessionClosedError",
    "constraint_of",
    "delay_before",
    "exception_map",
    "is_retryable",
]

# SQLSTATE (PostgreSQL, appendix A), and the numbers of MySQL for the same.
_UNIQUE = "23505"
_RETRYABLE = frozenset({"40001", "40P01", 1205, 1213})  # serialization failure, deadlock
_CANCELED = "57014"  # a statement that took longer than statement_timeout
# Connection, login, no such database, resources, shutdown, a lock that was not free. A wrong password is a mistake, and
# yet no fault of the request: psycopg does not tell it from a server that is down, a readiness route must see it, and a
# password that is being changed is right again in a moment.
_UNAVAILABLE_CLASSES = ("08", "28", "3D000", "53", "57P", "55P03")
_UNIQUE_SQLITE = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"})
_LOCKED_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED")  # and those that begin so
# Another one has written since this transaction read: a serialization failure by another name. A plain SQLITE_BUSY is
# none: `busy_timeout` has been waited for already.
_OLD_SNAPSHOT_SQLITE = "SQLITE_BUSY_SNAPSHOT"
_SQLITE_COLUMNS = re.compile(r"UNIQUE constraint failed: (.+)")
_SQLITE_CHECK = re.compile(r"CHECK constraint failed: (.+)")

_UNAVAILABLE = ErrorInfo(status=503, detail="The database is not available", headers={"Retry-After": "1"})
_BUSY = ErrorInfo(status=503, detail="The database is busy", headers={"Retry-After": "1"})
_TOO_SLOW = ErrorInfo(status=504, detail="The database did not answer in time")
_TAKEN = ErrorInfo(status=409, detail="This already exists")

# Seconds before the second attempt, doubled each time. Half is random, so that two that collided do not meet again.
_FIRST_DELAY_S = 0.02


class DatabaseUnavailableError(PatternsError):
    """No connection could be made, or the database did not answer in time; answered with 503."""


class SessionClosedError(PatternsError):
    """A session was used after its request or block had ended."""


def exception_map(
    *,
    constraints: Mapping[str, str | ErrorInfo] | None = None,
    other_integrity_status: int = 500,
    metadata: MetaData | None = None,
) -> ExceptionMap:
    """Map SQLAlchemy's failures to answers, for `install_error_handlers` or `install_stack`.

    Args:
        constraints: What a client reads when a constraint of this name is violated: a text (answered with 409), or an
            `ErrorInfo`.
        other_integrity_status: The answer to violations of constraints without a name there that are not unique ones:
            500, or 422 where the client's data is what they check.
        metadata: The tables, to find a constraint's name where the database does not say it (SQLite).

    HTTP:
        A unique violation: 409. No connection within the pool's timeout, a lost or refused one, a lock that is not
        free, a serialization failure or deadlock after its retries: 503 with `Retry-After`. A statement over its time
        limit: 504. Any other failure is a mistake in the code and stays unhandled: 500.
    """
    known = {
        name: ErrorInfo(status=409, detail=said) if isinstance(said, str) else said
        for name, said in (constraints or {}).items()
    }
    return {
        IntegrityError: _IntegrityAnswers(known, other_integrity_status, metadata),
        PoolTimeoutError: _BUSY,
        DatabaseUnavailableError: _UNAVAILABLE,
        DBAPIError: _lost,
    }


@dataclass(frozen=True, slots=True)
class _IntegrityAnswers:
    """The answers to violated constraints: what the application says of one by name, or one for all others.

    `named` is apart: of several databases the stack asks each for it before any answers for all.
    """

    known: Mapping[str, ErrorInfo]
    other_status: int
    metadata: MetaData | None

    def __call__(self, error: IntegrityError) -> ErrorInfo | None:
        if (found := self.named(error)) is not None:
            return found
        if _is_unique(error):
            return _TAKEN
        if self.other_status == 500:
            return None
        return ErrorInfo(status=self.other_status, detail="The data contradicts what is stored")

    def named(self, error: IntegrityError) -> ErrorInfo | None:
        name = constraint_of(error, self.metadata)
        return None if name is None else self.known.get(name)


def constraint_of(error: IntegrityError, metadata: MetaData | None = None) -> str | None:
    """Return the name of the constraint that was violated, or None where neither database nor `metadata` knows it."""
    original: Any = error.orig
    # psycopg has the name in `diag`, asyncpg on its own exception, behind the one that SQLAlchemy adapts.
    for place in (getattr(original, "diag", None), original, getattr(original, "__cause__", None)):
        name = getattr(place, "constraint_name", None)
        if isinstance(name, str) and name:
            return name
    if not _is_sqlite(original):
        return None
    if check := _SQLITE_CHECK.fullmatch(str(original)):
        return check[1]  # the name, or the expression of one without a name
    found = _SQLITE_COLUMNS.fullmatch(str(original))
    if found is None or metadata is None:
        return None
    return _unique_constraint(metadata, found[1].split(", "))


def is_retryable(error: BaseException) -> bool:
    """Tell whether the same transaction may succeed when it is run again: a serialization failure or a deadlock."""
    if not isinstance(error, DBAPIError):
        return False
    return _code(error) in _RETRYABLE or _sqlite_name(error) == _OLD_SNAPSHOT_SQLITE


def delay_before(attempt: int) -> float:
    """Return the seconds to wait before the attempt of this number, 2 or more."""
    longest: float = _FIRST_DELAY_S * 2 ** (attempt - 2)
    return longest * (0.5 + random.random() / 2)  # noqa: S311 (spreads load, keeps no secret)


def _lost(error: DBAPIError) -> ErrorInfo | None:
    code = _code(error)
    if code == _CANCELED:
        return _TOO_SLOW
    if code in _RETRYABLE or _sqlite_name(error).startswith(_LOCKED_SQLITE):
        return _BUSY
    if isinstance(code, str) and code.startswith(_UNAVAILABLE_CLASSES):
        return _UNAVAILABLE
    # A connection that could not be made, or that broke in use. SQLite has no server to lose: there OperationalError
    # means a missing table, say, as ProgrammingError does elsewhere.
    refused = isinstance(error, (OperationalError, InterfaceError)) and not _is_sqlite(error.orig) and code is None
    return _UNAVAILABLE if error.connection_invalidated or refused else None


def _is_unique(error: IntegrityError) -> bool:
    return _code(error) in (_UNIQUE, 1062) or _sqlite_name(error) in _UNIQUE_SQLITE


def _sqlite_name(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlite_errorname", None) or "")


def _code(error: DBAPIError) -> str | int | None:
    """The database's own code of a failure: SQLSTATE, or MySQL's number."""
    original: Any = error.orig
    for name in ("sqlstate", "pgcode"):
        found = getattr(original, name, None)
        if isinstance(found, str):
            return found
    arguments = getattr(original, "args", ())
    return arguments[0] if arguments and type(arguments[0]) is int else None


def _is_sqlite(original: object) -> bool:
    return type(original).__module__.partition(".")[0] in ("sqlite3", "aiosqlite")


def _unique_constraint(metadata: MetaData, columns: list[str]) -> str | None:
    table_name, _, _ = columns[0].rpartition(".")
    names = {column.rpartition(".")[2] for column in columns}
    table = metadata.tables.get(table_name)
    if table is None:
        return None
    for constraint in table.constraints:
        if not isinstance(constraint, (UniqueConstraint, PrimaryKeyConstraint)):
            continue
        if {column.name for column in constraint.columns} == names:
            return str(constraint.name) if constraint.name else None
    for index in table.indexes:
        if index.unique and {column.name for column in index.columns} == names:
            return index.name
    return None
