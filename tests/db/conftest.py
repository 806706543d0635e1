"""Closes what the tests of this folder opened: Python 3.13 warns of each SQLite connection that is only forgotten."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Pool, event


@pytest.fixture(autouse=True)
def _sqlite_connections_closed() -> Iterator[None]:
    """Close every connection that a test's pools have made and left open."""
    opened: list[Any] = []

    def on_connect(connection: Any, _record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            opened.append(connection)

    event.listen(Pool, "connect", on_connect)
    yield
    event.remove(Pool, "connect", on_connect)
    for connection in opened:
        try:
            connection.close()
        except sqlite3.ProgrammingError:  # made in a thread that wants to close it itself
            continue
