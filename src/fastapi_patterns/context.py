"""The request at hand: its id, trace and user, for log lines, tasks and outgoing calls. A leaf: imports no room.

`RequestLogMiddleware` sets it. It is kept in a context variable, so it follows `await`, `asyncio.create_task`
and the threadpool, and one request never sees another's.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

__all__ = [
    "ERROR_TYPE",
    "Flag",
    "RequestContext",
    "current_request",
    "get_request_id",
    "request_context",
    "request_state_var",
    "response_started",
]


ERROR_TYPE = "fastapi_patterns_error_type"
"""Where a request's `state` holds the class of the exception that was answered, for the request log."""


class RequestContext:
    """What belongs to one request and travels with it: a view of the request's own `state`.

    `request.state.request_id` is the same as `current_request().request_id`, and a `user_id` that the application sets
    on `request.state` is seen here.

    Args:
        state: The values by name.
    """

    __slots__ = ("_state",)

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = state

    @property
    def request_id(self) -> str:
        """The request's id."""
        return str(self._state["request_id"])

    @property
    def trace_id(self) -> str | None:
        """The trace that the request is part of, 32 hex digits (W3C Trace Context), or None."""
        return self._state.get("trace_id")

    @property
    def span_id(self) -> str | None:
        """The server's span in that trace, 16 hex digits, or None."""
        return self._state.get("span_id")

    @property
    def traceparent(self) -> str | None:
        """The header of that name that came with the request, when it was valid, or None."""
        return self._state.get("traceparent")

    @property
    def user_id(self) -> str | None:
        """The user's id as text, or None while nobody has logged in."""
        found = self._state.get("user_id")
        return None if found is None else str(found)

    def snapshot(self) -> Self:
        """Copy it for work that outlives the request, a background task for example."""
        names = ("request_id", "trace_id", "span_id", "traceparent", "user_id")
        return type(self)({name: self._state[name] for name in names if name in self._state})


# Not the view: one for each request would cost more than it is worth.
request_state_var: ContextVar[Mapping[str, Any] | None] = ContextVar("fastapi_patterns_request", default=None)
"""The `state` of the request being served, which `current_request` reads."""


def current_request() -> RequestContext | None:
    """Return the request being served, or None outside one."""
    state = request_state_var.get()
    return None if state is None else RequestContext(state)


def get_request_id() -> str | None:
    """Return the id of the request being served, or None outside one."""
    state = request_state_var.get()
    return None if state is None else state["request_id"]


@contextmanager
def request_context(request: RequestContext | str | None) -> Iterator[None]:
    """Run a block of code as part of a request: a background task, a script, a test.

    Args:
        request: The request, or only its id; None for no request.
    """
    if isinstance(request, str):
        request = RequestContext({"request_id": request})
    token = request_state_var.set(None if request is None else request._state)
    try:
        yield
    finally:
        request_state_var.reset(token)


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
