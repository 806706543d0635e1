"""The application, and those that are mounted in it."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Host, Mount, Router

from fastapi_patterns._compat import effective_routes
from fastapi_patterns.checks.target import Target

__all__ = ["applications"]


def applications(target: Target) -> Iterator[tuple[str, FastAPI]]:
    """Give FastAPI applications, each once: its middleware and handlers are its own.

    Beside each is what to write after the name of something in it: nothing for the first, ` of /sub` for one at `/sub`.
    """
    seen = {id(target.app)}
    yield "", target.app
    for path, app in _mounted(target.app, ""):
        if isinstance(app, FastAPI) and id(app) not in seen:
            seen.add(id(app))
            yield f" of {path}", app


def _mounted(app: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for route, path, _ in effective_routes(app if isinstance(app, Router) else app.router):
        if isinstance(route, Mount | Host):
            below = getattr(route, "_base_app", route.app)  # below the middleware of `Mount(..., middleware=[...])`
            whole = f"{prefix}{path}" if isinstance(route, Mount) else f"{route.host}{prefix}"
            if isinstance(below, Starlette | Router):
                yield whole or "/", below
                yield from _mounted(below, whole)
