"""What browsers of other sites may do, and what middleware breaks."""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from fastapi_patterns._own_middleware import is_base_http, name_of
from fastapi_patterns.checks.applications import applications
from fastapi_patterns.checks.source import function_of
from fastapi_patterns.checks.syntax import is_broad
from fastapi_patterns.checks.target import Target
from fastapi_patterns.middleware import CatchAllMiddleware
from fastapi_patterns.middleware._origin_regex import lets_strangers_in, slips
from fastapi_patterns.stack import stack_of

__all__ = ["base_http_middleware", "credentials_for_all", "errors_outside_cors", "loose_origins", "origins_as_text"]

_PLACE = "CORSMiddleware"


def _cors(target: Target) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the options of each, with its place."""
    for where, app in applications(target):
        for middleware in app.user_middleware:
            if _is(middleware, CORSMiddleware):
                yield f"{_PLACE}{where}", dict(middleware.kwargs)


def _is(middleware: Middleware, *kinds: type) -> bool:
    kind: Any = middleware.cls
    return isinstance(kind, type) and issubclass(kind, kinds)


def _origins(options: dict[str, Any]) -> Sequence[str]:
    origins = options.get("allow_origins", ())
    is_no_list = isinstance(origins, str) or not isinstance(origins, Collection)  # reading an iterator would empty it
    return () if is_no_list else [str(origin) for origin in origins]


def _matches_strangers(regex: Any) -> bool:
    try:
        return isinstance(regex, str) and bool(lets_strangers_in(re.compile(regex)))
    except re.error:  # Starlette says so when the application starts
        return False


def credentials_for_all(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find a wildcard, a regex that matches anything, or `null`, which any site can be, together with credentials."""
    for place, options in _cors(target):
        regex = options.get("allow_origin_regex")
        every = not {"*", "null"}.isdisjoint(_origins(options)) or options.get("allow_origins") == "*"
        if options.get("allow_credentials") and (every or _matches_strangers(regex)):
            yield (
                place,
                "any website may send requests with the user's cookies and read the answers",
                "list the origins: allow_origins=['https://app.example']",
            )


def origins_as_text(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find `allow_origins="https://app.example"`: Starlette asks whether an origin is in it, which parts of it are."""
    for place, options in _cors(target):
        if isinstance(options.get("allow_origins"), str):
            yield (place, "allow_origins is a text, of which every part counts as an origin", "write a list: [...]")


def loose_origins(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find regexes that match more than they seem to, and origins that no browser sends."""
    for place, options in _cors(target):
        regex = options.get("allow_origin_regex")
        if isinstance(regex, str):
            found, safer = slips(regex)
            if found:
                yield (place, f"allow_origin_regex {regex!r}: {'; '.join(found)}", f"write r'{safer}'")
        for origin in _origins(options):
            if origin.endswith("/"):
                yield (place, f"the origin {origin!r} ends in a slash, and matches nothing", f"write {origin[:-1]!r}")
            elif "*" in origin and origin != "*":
                regex = re.escape(origin).replace(r"\*", "[a-z0-9-]+")
                why = f"the origin {origin!r} is compared as it stands, and matches nothing"
                yield (place, why, f"write allow_origin_regex=r'{regex}'")


def base_http_middleware(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find them, `@app.middleware("http")` functions among them."""
    for where, app in applications(target):
        for middleware in app.user_middleware:
            if is_base_http(middleware):
                yield (
                    f"{name_of(middleware)}{where}",
                    "it loses context variables, makes broken streams look whole, and triples the cost of a request",
                    "write it as a pure ASGI middleware",
                )


def errors_outside_cors(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find a CORS middleware around which Starlette answers exceptions: scripts cannot read those answers."""
    for where, app in applications(target):
        stack = app.user_middleware
        outer = [index for index, each in enumerate(stack) if _is(each, CORSMiddleware) and _lets_in(each.kwargs)]
        if stack_of(app) is None and outer and not any(map(_answers_errors, stack[outer[0] + 1 :])):
            yield (
                f"{_PLACE}{where}",
                "a 500 is answered outside of it, so scripts read a CORS failure in place of the error",
                "answer exceptions inside of it: install_stack(app, allow_origins=[...]) does",
            )


def _lets_in(options: Mapping[str, Any]) -> bool:
    return bool(options.get("allow_origins") or options.get("allow_origin_regex"))


def _answers_errors(middleware: Middleware) -> bool:
    """Tell whether a middleware catches any exception and does not end in raising it again."""
    calls = (getattr(middleware.cls, "__call__", None), getattr(middleware.cls, "dispatch", None))  # noqa: B004
    functions = [function_of(call) for call in (*calls, middleware.kwargs.get("dispatch"))]
    blocks = [node for each in functions if each is not None for node in ast.walk(each.node)]
    return _is(middleware, CatchAllMiddleware) or any(
        isinstance(block, ast.ExceptHandler) and is_broad(block.type) and not isinstance(block.body[-1], ast.Raise)
        for block in blocks
    )
