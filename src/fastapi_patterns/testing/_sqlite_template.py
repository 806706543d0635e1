"""A template on SQLite: one file with the tables, which is copied into memory or beside itself."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from sqlalchemy import URL, Connection, Engine, NullPool

from fastapi_patterns.db import Database
from fastapi_patterns.testing._tables import Models

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["SqliteTemplate"]


class SqliteTemplate:
    """A file with the tables. Databases in memory are filled from it, and tests that commit have a copy of it.

    Args:
        file: Where the tables are made.
        url: What tests share: a database in memory, or the file itself.
        fresh: Whether the file is made anew, and removed at the end.
    """

    def __init__(self, file: Path, url: URL, *, fresh: bool) -> None:
        self.url = url
        self._file = file
        self._fresh = fresh
        if fresh:
            self.close()

    @property
    def made_at(self) -> URL:
        """Where the tables are made."""
        return URL.create("sqlite", database=str(self._file))

    def prepare(self, make: Callable[[Connection], None]) -> None:
        """Make tables in the file, on a connection in a transaction."""
        with Database(self.made_at, poolclass=NullPool).engine.begin() as connection:
            make(connection)

    def begin(self, models: Sequence[Models]) -> None:
        """Nothing: tests that commit have a copy, so that nobody's rows are deleted."""

    def finish(self, models: Sequence[Models]) -> None:
        """Nothing: the file is copied as it is."""

    def fill(self, engine: Engine) -> None:
        """Copy the template with SQLite's backup: `deserialize` on a connection that is open can kill Python."""
        if self.url.database is None:
            with sqlite3.connect(self._file) as template, engine.connect() as connection:
                template.backup(cast("sqlite3.Connection", connection.connection.driver_connection))
            template.close()

    async def fill_async(self, engine: "AsyncEngine") -> None:
        """The same, through the thread that aiosqlite keeps for a connection."""
        if self.url.database is None:
            import aiosqlite

            async with aiosqlite.connect(self._file) as template, engine.connect() as connection:
                raw = await connection.get_raw_connection()
                await template.backup(cast("aiosqlite.Connection", raw.driver_connection))

    @contextmanager
    def committed(self) -> Iterator[URL]:
        """Copy the file, so that several connections can write, and remove the copy after the test."""
        copy = self._file.with_name(f"{uuid4().hex}.db")
        shutil.copyfile(self._file, copy)
        try:
            yield URL.create("sqlite", database=str(copy))
        finally:
            _remove(copy)

    def close(self) -> None:
        """Remove the file, unless it is one that the project keeps."""
        if self._fresh:
            _remove(self._file)


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
