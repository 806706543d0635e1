"""The request at hand: its id and its user, for log lines, tasks and outgoing calls. A leaf: imports no room.

`RequestLogMiddleware` sets the id. It is kept in a context variable, so it follows `await`, `asyncio.create_task`
and the threadpool, and one request never sees another's.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["Flag", "get_request_id", "request_context", "request_id_var", "response_started"]

request_id_var: ContextVar[str | None] = ContextVar("fastapi_patterns_request_id", default=None)


def get_request_id() -> str | None:
    """Return the id of the request being served, or None outside one."""
    return request_id_var.get()


@contextmanager
def request_context(request_id: str | None) -> Iterator[None]:
    """Run a block of code as part of the request with this id: a background task, a script, a test."""
    token = request_id_var.set(request_id)
    try:
        yield
    finally:
        request_id_var.reset(token)


class Flag:
    """A mark that parts of one request share: it starts unset and stays set."""

    __slots__ = ("_set",)

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        """Set the mark."""
        self._set = True

    def is_set(self) -> bool:
        """Tell whether the mark is set."""
        return self._set


def response_started(scope: MutableMapping[str, Any]) -> Flag:
    """Return the mark of this request that the stack sets when the response starts.

    A route has returned and its session has committed by then: an exception that comes later undoes neither.
    """
    found: Flag = scope.setdefault("fastapi_patterns.response_started", Flag())
    return found
