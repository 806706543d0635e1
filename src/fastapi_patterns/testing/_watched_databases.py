"""Notes connections and transactions that are begun and do not end. For `assert_no_leaks`."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import AdaptedConnection, Connection, event
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool

from fastapi_patterns.testing._origin import Origin, origin

__all__ = ["DatabaseWatch"]


class DatabaseWatch:
    """Connections that are out of their pools, and sessions that have begun on a connection which the test shares.

    Both are kept from being collected meanwhile: otherwise what is left would be found on some runs only.
    """

    def __init__(self) -> None:
        self._connections: dict[Any, tuple[Any, Origin | None]] = {}
        self._transactions: dict[Any, tuple[Session, Origin | None]] = {}
        # In which event loop the async ones began: it ends before the test does.
        self._loops: dict[Any, asyncio.AbstractEventLoop | None] = {}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Listen to every pool and session of the process."""
        listeners: list[tuple[Any, str, Any]] = [
            (Pool, "checkout", self._check_out),
            (Pool, "checkin", self._check_in),
            (Pool, "detach", self._check_in),
            (Session, "after_begin", self._begin),
            (Session, "after_transaction_end", self._end),
        ]
        for listener in listeners:
            event.listen(*listener)
        try:
            yield
        finally:
            for listener in listeners:
                event.remove(*listener)

    def left(self, loop: asyncio.AbstractEventLoop | None = None) -> list[str]:
        """Describe what is left, all of it or what is async in this loop, and close it: its pool may be disposed of."""
        keys = [key for key in (*self._connections, *self._transactions) if loop in (None, self._loops.get(key))]
        connections = [self._connections.pop(key) for key in keys if key in self._connections]
        transactions = [self._transactions.pop(key) for key in keys if key in self._transactions]
        for fairy, _ in connections:
            _close(fairy)
        first_begun = dict(reversed(transactions))
        lines = [f"connection, checked out of its pool at {place}" for _, place in connections]
        return lines + [f"{type(session).__name__}, in a transaction since {at}" for session, at in first_begun.items()]

    def _check_out(self, _connection: Any, record: Any, fairy: Any) -> None:
        self._connections[record] = (fairy, origin())
        self._loops[record] = _loop_of(fairy.dbapi_connection)

    def _check_in(self, _connection: Any, record: Any) -> None:
        self._connections.pop(record, None)

    def _begin(self, session: Session, transaction: Any, connection: Connection) -> None:
        if isinstance(session.bind, Connection):  # one with an engine has a connection out of the pool
            self._transactions[transaction] = (session, origin())
            self._loops[transaction] = _loop_of(connection.connection.dbapi_connection)

    def _end(self, _session: Session, transaction: Any) -> None:
        self._transactions.pop(transaction, None)


def _loop_of(connection: Any) -> asyncio.AbstractEventLoop | None:
    return asyncio._get_running_loop() if isinstance(connection, AdaptedConnection) else None


def _close(fairy: Any) -> None:
    if not isinstance(fairy.dbapi_connection, AdaptedConnection):  # an async one can only be closed in its own loop
        with suppress(Exception):
            fairy.close()
