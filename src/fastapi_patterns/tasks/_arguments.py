"""What a task may not be given: things that end with the request, or that only one thread or process has."""

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import HTTPConnection

from fastapi_patterns.exceptions import PatternsError

__all__ = ["TaskArgumentError", "check_arguments"]


class TaskArgumentError(PatternsError, TypeError):
    """A task was given what it could not use later."""


def check_arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Check the arguments of a call that is left for later.

    Raises:
        TaskArgumentError: One of them belongs to the request. The message says its type and never its value.
    """
    for value in (*args, *kwargs.values()) if kwargs else args:
        instead = _instead_of(value.__class__)
        if instead is not None:
            raise TaskArgumentError(instead)


@lru_cache(maxsize=1024)
def _instead_of(cls: type[Any]) -> str | None:
    """Say what to pass instead of an object of a class; None where it may be passed."""
    if issubclass(cls, HTTPConnection):
        return f"a task cannot take the {cls.__name__}: it is over by then. Pass the values that the task needs."
    if issubclass(cls, UploadFile):
        return (
            "a task cannot take an UploadFile: it is closed after the response. Read it first, and pass what was read."
        )
    if any(issubclass(cls, session) for session in _sessions()):
        return (
            f"a task cannot take the request's {cls.__name__}: it is closed by then, and is no other thread's. "
            "Pass ids, and open a session in the task: `with database.session_scope() as session`."
        )
    return None


def _sessions() -> list[type]:
    """SQLAlchemy's kinds of sessions, where it is imported: an object of them can only be there then."""
    orm, asynchronous = sys.modules.get("sqlalchemy.orm"), sys.modules.get("sqlalchemy.ext.asyncio")
    found = [getattr(orm, "Session", None), getattr(orm, "scoped_session", None)]
    return [cls for cls in (*found, getattr(asynchronous, "AsyncSession", None)) if cls is not None]
