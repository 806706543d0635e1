"""The application's own middleware, seen from outside: what each is called, and which of them break something."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware

__all__ = ["is_base_http", "name_of", "qualified_name", "warn_of_base_http"]

_log = logging.getLogger("fastapi_patterns.stack")


def is_base_http(middleware: Middleware) -> bool:
    """Tell whether this is a `BaseHTTPMiddleware`: a subclass, or a function under `@app.middleware("http")`."""
    return isinstance(middleware.cls, type) and issubclass(middleware.cls, BaseHTTPMiddleware)


def name_of(middleware: Middleware) -> str:
    """Name a middleware by its class, or by the function that `@app.middleware("http")` decorates, with the module."""
    function = _dispatch(middleware)
    return qualified_name(middleware.cls if function is None else function)


def qualified_name(call: Any) -> str:
    """Name a function, a class or an object that is called, with its module."""
    while isinstance(call, partial):
        call = call.func
    if not hasattr(call, "__qualname__"):  # an object that is called
        call = type(call)
    return f"{call.__module__}.{call.__qualname__}"


def warn_of_base_http(own: Sequence[Middleware]) -> None:
    """Log a warning for each `BaseHTTPMiddleware`, by name, with what it breaks and what to write instead."""
    for middleware in own:
        if is_base_http(middleware):
            _log.warning(
                "%s is %s. It goes on working, but what it wraps cannot hand context variables out through it, a "
                "stream that breaks off inside it reaches the client as if it were whole, and a plain request costs "
                "more than three times as much. Write it as a pure ASGI middleware: see 'Middleware of your own' in "
                "the how-to 'Put it together in order'.",
                name_of(middleware),
                'an @app.middleware("http") function' if _dispatch(middleware) else "a BaseHTTPMiddleware",
            )


def _dispatch(middleware: Middleware) -> Any:
    kind: Any = middleware.cls  # typed as a callable, so that comparing it with a class would look impossible
    if kind is not BaseHTTPMiddleware:
        return None
    return middleware.kwargs.get("dispatch") or next(iter(middleware.args), None)
