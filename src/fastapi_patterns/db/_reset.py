"""Gives a PostgreSQL connection back as it came: a role, a setting or a temporary table ends with its session.

The pool rolls back, which undoes none of these once they are committed: the next request would run as somebody else.
Only a connection that needs it is cleaned, which costs six statements. What a function sets inside the database, or a
cursor of the driver's own, is not seen.
"""

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, event

__all__ = ["clean_on_return", "outlasts_transaction"]

_BEGINNING = r"(?:\A|;)(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_OUTLASTS = re.compile(
    _BEGINNING + r"(?:SET\s+(?!LOCAL\b|TRANSACTION\b|CONSTRAINTS\b)|RESET\s|LISTEN\s|LOAD\s|DECLARE\s)"
    r"|\bTEMP(?:ORARY)?\s|\bset_config\s*\(|\bpg_(?:try_)?advisory_lock",
    re.IGNORECASE | re.DOTALL,
)
# DISCARD ALL without DEALLOCATE: the drivers keep prepared statements and believe that they are there.
# Source: https://www.postgresql.org/docs/current/sql-discard.html
_CLEAN = (
    "CLOSE ALL",
    "SET SESSION AUTHORIZATION DEFAULT",
    "RESET ALL",
    "UNLISTEN *",
    "SELECT pg_advisory_unlock_all()",
    "DISCARD TEMP",
)
_MARK = "fastapi_patterns_outlasts"


@lru_cache(maxsize=512)
def outlasts_transaction(statement: str) -> bool:
    """Tell whether a statement may leave something on its connection that a rollback does not undo."""
    return _OUTLASTS.search(statement) is not None


def clean_on_return(engine: Engine) -> None:
    """Let the pool of this PostgreSQL engine clean the connections that a statement left something on."""

    @event.listens_for(engine, "before_cursor_execute")
    def _on_execute(
        connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _executemany: bool
    ) -> None:
        # SQLAlchemy's own INSERT, UPDATE and DELETE may be long, and leave nothing.
        if not context.isinsert and not context.isupdate and not context.isdelete and outlasts_transaction(statement):
            connection.info[_MARK] = True

    @event.listens_for(engine, "reset")
    def _on_reset(driver_connection: Any, record: Any, state: Any) -> None:
        if record is None or state.terminate_only or not record.info.pop(_MARK, False):
            return
        driver_connection.rollback()
        cursor = driver_connection.cursor()
        for statement in _CLEAN:
            cursor.execute(statement)
        cursor.close()
        driver_connection.commit()
