"""Exception groups: a task group wraps the one error that ended it, and the client should read that error's answer."""

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from fastapi_patterns._compat import is_async_callable

__all__ = ["answer_only_leaf", "call_handler", "only_leaf"]


def only_leaf(group: BaseExceptionGroup[Any]) -> Exception | None:
    """Return the one exception in a group, however deep it is nested, or None if there are more."""
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        if len(inner.exceptions) != 1:
            return None
        inner = inner.exceptions[0]
    return inner if isinstance(inner, Exception) else None


async def answer_only_leaf(connection: HTTPConnection, exc: Any) -> Any:
    """Answer a group as its only leaf would be answered, by whichever handler the application has for it.

    A group with more than one exception, or whose leaf nobody handles, goes on unhandled.
    """
    leaf = only_leaf(exc)
    handler = None if leaf is None else _handler_of(connection.scope["app"].exception_handlers, leaf)
    if handler is None:
        raise exc
    try:
        return await call_handler(handler, connection, leaf)
    except Exception as raised:
        if raised is not leaf:
            raise
    raise exc  # the handler did not want the leaf


async def call_handler(handler: Callable[..., Any], connection: HTTPConnection, exc: Any) -> Any:
    """Call an exception handler as Starlette does: a plain function in a thread."""
    if is_async_callable(handler):
        return await handler(connection, exc)
    return await run_in_threadpool(handler, connection, exc)


def _handler_of(handlers: dict[Any, Callable[..., Any]], exc: Exception) -> Callable[..., Any] | None:
    if isinstance(exc, HTTPException) and exc.status_code != 500 and exc.status_code in handlers:
        return handlers[exc.status_code]
    # Those for Exception and 500 answer what is unhandled: Starlette keeps them for its outermost layer.
    return next((handlers[cls] for cls in type(exc).__mro__ if cls is not Exception and cls in handlers), None)
