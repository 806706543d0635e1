"""Who may reach what."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.staticfiles import StaticFiles

from fastapi_patterns._own_middleware import name_of
from fastapi_patterns._routes import Endpoint
from fastapi_patterns.checks._rules.credentials import auth_of
from fastapi_patterns.checks.source import defined_at, place_of
from fastapi_patterns.checks.target import Target

__all__ = ["auth_of", "open_routes"]

_FOR_ANYBODY = ("/robots.txt", "/favicon.ico")
_AUTHENTICATES = re.compile(r"auth(?!or(?!iz))|api_?key|(?<!csrf)(?<!csrf_)token|jwt|bearer", re.IGNORECASE)
_SECTION = "[tool.fastapi-patterns.check]"


def open_routes(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find routes in whose dependencies there is nothing that asks for a credential."""
    behind: dict[str, list[str]] = {}
    for endpoint in _open(target):
        named = endpoint.path if endpoint.method == "*" else f"{endpoint.method} {endpoint.path}"
        guard = _guard(target.app) or _guard(endpoint.app)
        if guard is not None:
            behind.setdefault(guard, []).append(named)
            continue
        yield (
            _place(endpoint.answering),
            f"{named} asks for no credential",
            f"depend on the current user, or list it in {_SECTION}: public = ['{named}']",
        )
    for guard, names in behind.items():
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        yield (
            guard,
            f"authentication in middleware cannot be seen; without it {len(names)} ask for no credential: {shown}",
            f"list the public routes in {_SECTION}, or ignore this rule there: ignore = ['FP101']",
        )


def _open(target: Target) -> list[Endpoint]:
    found = [
        endpoint
        for endpoint in target.endpoints
        if auth_of(endpoint) is None and not target.is_public(endpoint) and not _is_meant_to_be(endpoint)
    ]
    read = {(endpoint.path, endpoint.answering) for endpoint in found if endpoint.method == "GET"}
    return [each for each in found if each.method != "HEAD" or (each.path, each.answering) not in read]


def _guard(app: Any) -> str | None:
    """Name the middleware of an application that authenticates, by its class or by its name."""
    for middleware in getattr(app, "user_middleware", ()):
        name = name_of(middleware)
        kind = middleware.cls
        is_starlettes = isinstance(kind, type) and issubclass(kind, AuthenticationMiddleware)
        if is_starlettes or _AUTHENTICATES.search(name.rpartition(".")[2]):
            return name
    return None


def _is_meant_to_be(endpoint: Endpoint) -> bool:
    """Tell whether it is open on purpose: the OpenAPI document and its pages, files, our own routes to log in."""
    module = str(getattr(endpoint.answering, "__module__", ""))
    if module.startswith("fastapi_patterns.auth"):  # to log in, to refresh, and the public keys
        return True
    of_fastapi = endpoint.dependant is None and module == FastAPI.__module__
    return of_fastapi or _serves_files(endpoint.answering) or endpoint.path.endswith(_FOR_ANYBODY)


def _serves_files(app: Any) -> bool:
    """Tell whether it is `StaticFiles`, under middleware too."""
    below = getattr(app, "__dict__", {}).get("app")
    return isinstance(app, StaticFiles) or (below is not None and not isinstance(app, type) and _serves_files(below))


def _place(answering: Any) -> str:
    if isinstance(answering, type):  # an HTTPEndpoint
        try:
            return place_of(str(inspect.getsourcefile(answering)), inspect.getsourcelines(answering)[1])
        except (OSError, TypeError):
            pass
    return defined_at(answering)
