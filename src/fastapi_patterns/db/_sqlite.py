"""Makes SQLite keep its promises: foreign keys, real transactions and savepoints, writers that wait for each other.

A transaction that has read cannot begin to write once another has committed: its snapshot is old, and SQLite refuses
at once, whatever `busy_timeout` says. So what only reads is in no transaction, as with PostgreSQL's READ COMMITTED each
statement sees what is committed, and the first statement that writes begins one that has the write lock from the start.
Source: https://www.sqlite.org/isolation.html and https://www.sqlite.org/rescode.html#busy_snapshot
"""

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, SingletonThreadPool, StaticPool, event

__all__ = ["prepare_sqlite", "writes"]

_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/|[(;])*([a-z]*)", re.IGNORECASE | re.DOTALL)
# What changes nothing, what begins and ends transactions itself, and what no transaction may be around.
_NO_TRANSACTION = frozenset({
    "SELECT", "VALUES", "EXPLAIN", "PRAGMA",
    "BEGIN", "COMMIT", "END", "ROLLBACK", "RELEASE",
    "VACUUM", "ATTACH", "DETACH",
})  # fmt: skip
_WRITING_WORD = re.compile(r"\b(?:INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


@lru_cache(maxsize=512)
def writes(statement: str) -> bool:
    """Tell whether a statement needs a transaction: it may change something, or it sets a savepoint."""
    found = _FIRST_WORD.match(statement)
    word = found[1].upper() if found else ""
    if word == "WITH":
        return _WRITING_WORD.search(statement) is not None
    return word not in _NO_TRANSACTION


def prepare_sqlite(engine: Engine, *, file: bool) -> None:
    """Hook into an engine for SQLite that was made here."""

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling commits behind savepoints; BEGIN is sent below instead.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        if file:
            cursor.execute("PRAGMA busy_timeout = 5000")  # milliseconds
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        level = _isolation_level(connection)
        if level == "SERIALIZABLE":  # asked for by name: nobody writes between what is read and what is written
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif level != "AUTOCOMMIT" and isinstance(engine.pool, (StaticPool, SingletonThreadPool)):
            # Sessions share the connection, and nobody else has one: no lock to wait for, and a second transaction
            # must be refused, or its end would be the first one's too.
            connection.exec_driver_sql("BEGIN")

    @event.listens_for(engine, "before_cursor_execute")
    def _on_execute(
        connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _executemany: bool
    ) -> None:
        # SQLAlchemy's own INSERT, UPDATE and DELETE may be long.
        if not (context.isinsert or context.isupdate or context.isdelete or writes(statement)):
            return
        driver_connection = connection.connection.driver_connection
        if not driver_connection.in_transaction and _isolation_level(connection) != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def _isolation_level(connection: Any) -> str | None:
    """What the application asks for: on this connection or session, or for the engine."""
    chosen = connection.get_execution_options().get("isolation_level")
    found: str | None = chosen or getattr(connection.dialect, "_on_connect_isolation_level", None)
    return found
