"""A template on a PostgreSQL server: a database that all tests of a process share, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from fastapi_patterns.testing._access import Access
from fastapi_patterns.testing._rows import (
    SCHEMA,
    is_locked,
    lock_holders,
    run_statements,
    statements_of,
    table_with_rows,
    take_snapshot,
)
from fastapi_patterns.testing._server_databases import create_again, create_if_missing, drop, first_line
from fastapi_patterns.testing._tables import Models

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["ServerTemplate"]


class ServerTemplate:
    """A database on a server.

    Args:
        url: The database.
        fresh: Whether it is dropped and created anew, and dropped at the end; otherwise it is used as it is, and
            created where it is missing.

    Raises:
        pytest.fail.Exception: It cannot be reached or created.
    """

    def __init__(self, url: URL, *, fresh: bool) -> None:
        self.url = url
        self._fresh = fresh
        self._statements: Sequence[str] = ()
        self._refusal: str | None = None
        self._access = Access(url, kept=True)
        (create_again if fresh else create_if_missing)(url)

    @property
    def made_at(self) -> URL:
        """Where the tables are made."""
        return self.url

    def prepare(self, make: Callable[[Connection], None]) -> None:
        """Make tables, on a connection in a transaction."""
        self._access.run(make)

    def begin(self, models: Sequence[Models]) -> None:
        """Look at a database that is used as it is: what a run that was killed has left there is put back.

        A database where tables of the models had rows before any test is not known to be for tests only. Tests that
        are rolled back may have it; those that commit would delete the rows.
        """
        if not self._fresh and not self._put_back():
            found = self._access.run(lambda connection: table_with_rows(connection, models))
            if found is not None:
                self._refusal = (
                    f"the database {self.url.database!r} of fastapi_db has rows in {found} that no test has written, "
                    "and tests that commit delete all rows. Name a database that is empty and that only tests use"
                )

    def finish(self, models: Sequence[Models]) -> None:
        """Note the rows that are there now: each test that commits leaves these."""
        if self._refusal is None:
            try:
                self._statements = self._access.run(lambda connection: take_snapshot(connection, models))
            except DBAPIError as error:
                if self._fresh:
                    raise
                self._refusal = f"tests that commit need a schema {SCHEMA}, which cannot be made ({first_line(error)})"

    def fill(self, engine: Engine) -> None:
        """Nothing: the tables are there."""

    async def fill_async(self, engine: "AsyncEngine") -> None:
        """Nothing: the tables are there."""

    @contextmanager
    def committed(self) -> Iterator[URL]:
        """Give the database itself, and put its rows back after the test."""
        if self._refusal is not None:
            pytest.fail(self._refusal, pytrace=False)
        try:
            yield self.url
        finally:
            self._restore()

    def close(self) -> None:
        """Drop the database, unless it is one that the project keeps."""
        self._access.close()
        if self._fresh:
            drop(self.url)

    def _restore(self) -> None:
        try:
            self._access.run(lambda connection: run_statements(connection, self._statements))
        except DBAPIError as error:
            if not is_locked(error):
                raise
            holders = self._access.run(lock_holders)
            pytest.fail(
                f"The rows of this test cannot be removed: somebody else has a transaction open in the database "
                f"{self.url.database!r}: {holders}. Only tests may use it.",
                pytrace=False,
            )

    def _put_back(self) -> bool:
        """Run the statements that an earlier run has left; tell whether there were any that fit."""
        try:
            self._access.run(lambda connection: run_statements(connection, statements_of(connection)))
        except DBAPIError:  # there is no schema, or its tables were dropped by hand
            return False
        return True
