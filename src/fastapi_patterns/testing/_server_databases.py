"""Creates and drops databases on a PostgreSQL server, with words for what the server refuses."""

from typing import NoReturn

import pytest
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import SQLAlchemyError

from fastapi_patterns.testing._access import Access

__all__ = ["create_again", "create_if_missing", "drop", "first_line"]

_LONGEST_NAME = 63  # bytes; PostgreSQL cuts the rest off, and two names would be one
# Every server has it; databases are created and dropped from there.
_MAINTENANCE = "postgres"
_EXISTS = text("SELECT EXISTS (SELECT FROM pg_database WHERE datname = :name)")


def create_again(url: URL) -> None:
    """Create an empty database; one of this name is dropped, whoever is connected to it.

    Raises:
        pytest.fail.Exception: The server refuses.
    """
    _check_name(url)
    try:
        drop(url)
        _run(url, "CREATE DATABASE {}")
    except Exception as error:
        _refused(url, error)


def create_if_missing(url: URL) -> None:
    """Check that a database can be used, and create it where the server has none of this name.

    Raises:
        pytest.fail.Exception: The server refuses.
    """
    _check_name(url)
    access = Access(url)
    try:
        access.run(lambda connection: None)
    except Exception as error:
        try:
            exists = Access(url.set(database=_MAINTENANCE)).run(
                lambda connection: connection.scalar(_EXISTS, {"name": url.database})
            )
        except Exception:
            _refused(url, error)
        if exists:
            _refused(url, error)
        try:
            _run(url, "CREATE DATABASE {}")
        except Exception as refused:
            _refused(url, refused)


def drop(url: URL) -> None:
    """Drop a database where there is one, whoever is connected to it."""
    _run(url, "DROP DATABASE IF EXISTS {} WITH (FORCE)")


def first_line(error: BaseException) -> str:
    """Return what the server said, without SQLAlchemy's words around it."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]


def _run(url: URL, statement: str) -> None:
    def run(connection: Connection) -> None:
        name = connection.dialect.identifier_preparer.quote_identifier(str(url.database))
        connection.exec_driver_sql(statement.format(name))

    # Neither statement may be in a transaction.
    Access(url.set(database=_MAINTENANCE)).run(run, isolation_level="AUTOCOMMIT")


def _check_name(url: URL) -> None:
    name = str(url.database)
    if len(name.encode()) > _LONGEST_NAME:
        pytest.fail(f"fastapi_db: a database name has {_LONGEST_NAME} bytes at most; got {name!r}", pytrace=False)


def _refused(url: URL, error: BaseException) -> NoReturn:
    reason = first_line(error)
    if isinstance(error, SQLAlchemyError) and "permission denied to create" in reason:
        reason += (
            "; databases for the workers of pytest-xdist, and one that is missing, are created by the user in the URL: "
            f"ALTER ROLE {url.username} CREATEDB"
        )
    raise pytest.fail.Exception(f"fastapi_db: the database {url!r} cannot be used: {reason}", pytrace=False) from None
