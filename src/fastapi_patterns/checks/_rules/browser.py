"""What browsers of other sites may do, and what middleware breaks."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.middleware.cors import CORSMiddleware

from fastapi_patterns._own_middleware import is_base_http, name_of
from fastapi_patterns.checks.target import Target
from fastapi_patterns.middleware._origin_regex import lets_strangers_in, slips
from fastapi_patterns.stack import stack_of

__all__ = ["base_http_middleware", "credentials_for_all", "errors_outside_cors", "loose_origins", "origins_as_text"]

_PLACE = "CORSMiddleware"


def _cors(target: Target) -> Iterator[dict[str, Any]]:
    for middleware in target.middleware:
        kind: Any = middleware.cls
        if isinstance(kind, type) and issubclass(kind, CORSMiddleware):
            yield dict(middleware.kwargs)


def _origins(options: dict[str, Any]) -> Sequence[str]:
    origins = options.get("allow_origins", ())
    return () if isinstance(origins, str) else [str(origin) for origin in origins]


def _matches_strangers(regex: Any) -> bool:
    try:
        return isinstance(regex, str) and bool(lets_strangers_in(re.compile(regex)))
    except re.error:  # Starlette says so when the application starts
        return False


def credentials_for_all(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find a wildcard, or a regex that matches anything, together with credentials."""
    for options in _cors(target):
        regex = options.get("allow_origin_regex")
        every = "*" in _origins(options) or options.get("allow_origins") == "*"
        if options.get("allow_credentials") and (every or _matches_strangers(regex)):
            yield (
                _PLACE,
                "any website may send requests with the user's cookies and read the answers",
                "list the origins: allow_origins=['https://app.example']",
            )


def origins_as_text(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find `allow_origins="https://app.example"`: Starlette asks whether an origin is in it, which parts of it are."""
    for options in _cors(target):
        if isinstance(options.get("allow_origins"), str):
            yield (_PLACE, "allow_origins is a text, of which every part counts as an origin", "write a list: [...]")


def loose_origins(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find regexes that match more than they seem to, and origins that no browser sends."""
    for options in _cors(target):
        regex = options.get("allow_origin_regex")
        if isinstance(regex, str):
            found, safer = slips(regex)
            if found:
                yield (_PLACE, f"allow_origin_regex {regex!r}: {'; '.join(found)}", f"write r'{safer}'")
        for origin in _origins(options):
            if origin.endswith("/"):
                yield (_PLACE, f"the origin {origin!r} ends in a slash, and matches nothing", f"write {origin[:-1]!r}")


def base_http_middleware(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find them, `@app.middleware("http")` functions among them."""
    for middleware in target.middleware:
        if is_base_http(middleware):
            yield (
                name_of(middleware),
                "it loses context variables, makes broken streams look whole, and triples the cost of a request",
                "write it as a pure ASGI middleware",
            )


def errors_outside_cors(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find a CORS middleware around which Starlette answers exceptions: scripts cannot read those answers."""
    if stack_of(target.app) is None and any(True for _ in _cors(target)):
        yield (
            _PLACE,
            "a 500 is answered outside of it, so scripts read a CORS failure in place of the error",
            "answer exceptions inside of it: install_stack(app, allow_origins=[...]) does",
        )
