"""Where in the application or the test something was made: the first line that is no library's."""

import os
import sys
from types import CodeType, FrameType
from typing import Any

__all__ = ["Origin", "origin"]

# Packages whose lines say nothing about who is to close, await or join.
_LIBRARIES = {
    *("aiosqlite", "anyio", "asyncio", "asyncpg", "concurrent", "contextlib", "fastapi", "fastapi_patterns"),
    *("functools", "greenlet", "httpx", "httpx2", "psycopg", "sqlalchemy", "starlette", "threading", "uvicorn"),
    *("__main__", "_pytest", "execnet", "pluggy", "pytest", "pytest_asyncio", "runpy", "xdist"),  # what runs the tests
}


class Origin:
    """A line of code; what it takes to print it is read when it is printed.

    Args:
        code: The function.
        line: Of the file.
    """

    __slots__ = ("_code", "_line")

    def __init__(self, code: CodeType, line: int) -> None:
        self._code = code
        self._line = line

    def __str__(self) -> str:
        file = self._code.co_filename
        try:
            shorter = os.path.relpath(file)
        except ValueError:  # on another drive
            shorter = file
        shown = file if shorter.startswith(os.pardir) else shorter
        return f"{shown}:{self._line} in {self._code.co_qualname}"


def origin() -> Origin | None:
    """Return the line that is running on behalf of the application or the test; None where only libraries are."""
    frame: FrameType | None = sys._getframe(1)
    # SQLAlchemy's async side runs its sync one in greenlets, whose frames know nothing of those that started them.
    greenlets: Any = sys.modules.get("greenlet")
    current = greenlets.getcurrent() if greenlets else None
    while True:
        while frame is not None:
            if str(frame.f_globals.get("__name__", "")).partition(".")[0] not in _LIBRARIES:
                return Origin(frame.f_code, frame.f_lineno)
            frame = frame.f_back
        current = None if current is None else current.parent
        if current is None:
            return None
        frame = current.gr_frame
