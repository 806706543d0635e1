"""A driver whose faults can be switched on: sqlite3 behind SQLAlchemy's `creator=`, for the suite without services."""

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any, Literal

Fault = Literal["connect", "execute", "commit", "disconnect"]


class StubDriver:
    """Makes connections to one file; `fail` lets the next calls of a kind fail.

    Args:
        path: The database's file.
    """

    def __init__(self, path: Path) -> None:
        self.opened: list[sqlite3.Connection] = []
        self.closed = 0
        self._path = path
        self._left: Counter[Fault] = Counter()

    def fail(self, fault: Fault, times: int = 1) -> None:
        """Let the next calls fail: all new connections, statements or commits, or every use as a lost connection."""
        self._left[fault] = times

    def __call__(self) -> sqlite3.Connection:
        """Connect; what `creator=` takes."""
        self.meet("connect", sqlite3.OperationalError("unable to open database file"))
        driver = self

        class Connection(sqlite3.Connection):
            def cursor(self, *_: Any) -> Any:
                return super().cursor(Cursor)

            def commit(self) -> None:
                driver.meet("disconnect", LOST)
                driver.meet("commit", sqlite3.OperationalError("disk I/O error"))
                super().commit()

            def close(self) -> None:
                driver.closed += 1
                super().close()

        class Cursor(sqlite3.Cursor):
            def execute(self, *arguments: Any) -> Any:
                driver.meet("disconnect", LOST)
                driver.meet("execute", sqlite3.OperationalError("disk I/O error"))
                return super().execute(*arguments)

        # Requests may open a session in one worker thread and close it in another.
        connection = sqlite3.connect(self._path, check_same_thread=False, factory=Connection)
        self.opened.append(connection)
        return connection

    def meet(self, fault: Fault, error: Exception) -> None:
        """Fail where this fault is switched on."""
        if self._left[fault] > 0:
            self._left[fault] -= 1
            raise error


# What SQLAlchemy's SQLite dialect takes for a connection that was lost.
LOST = sqlite3.ProgrammingError("Cannot operate on a closed database.")
