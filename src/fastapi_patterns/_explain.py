"""Puts an application's stack into words: every layer from the outside in, and the resources. Pure text."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount, WebSocketRoute

from fastapi_patterns._own_middleware import is_base_http, name_of, qualified_name
from fastapi_patterns.middleware import CatchAllMiddleware, RequestLogConfig, RequestLogMiddleware
from fastapi_patterns.middleware.catch_all import ResponseMarkMiddleware
from fastapi_patterns.middleware.cors import CorsMiddleware

__all__ = ["explanation"]

_LABELS: Mapping[Any, str] = {
    RequestLogMiddleware: "request log",
    CorsMiddleware: "CORS",
    CatchAllMiddleware: "catch-all",
    ResponseMarkMiddleware: "response mark",
}
_WIDTH = 110

Row = tuple[str, str]


def explanation(
    app: FastAPI, *, outer: Sequence[Middleware], inner: Sequence[Middleware], resources: Sequence[Any] | None
) -> str:
    """Describe an application.

    Args:
        app: The application, before or after its first request.
        outer: The stack's layers outside the application's own middleware.
        inner: Those inside it.
        resources: The stack's resources in order of opening; None for an application without the stack.
    """
    heading = f"{app.title}, from the outside in"
    if resources is None:
        heading = (
            f"{app.title} is without the stack: install_stack(app) was not called. What it has, from the outside in"
        )
    rows = [
        ("server errors", _server_errors(app, stacked=resources is not None)),
        *_body_limit(app),
        *(_layer(app, layer) for layer in outer),
        *_own(app.user_middleware),
        *(_layer(app, layer) for layer in inner),
        ("exception handlers", _listed(_handled(app))),
        ("routes", _routes(app)),
    ]
    text = f"{heading}\n\n{_table(rows)}"
    if resources:
        text += (
            "\nResources, opened in this order before the application's own lifespan, closed in reverse after it\n\n"
        )
        text += _table([(str(number), type(resource).__name__) for number, resource in enumerate(resources, 1)])
    return text


def _table(rows: Sequence[Row]) -> str:
    width = max(len(label) for label, _ in rows)
    lines: list[str] = []
    for label, text in rows:
        first, rest = f"  {label:<{width}}  ", " " * (width + 4)
        lines += textwrap.wrap(
            text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
        ) or [first.rstrip()]
    return "".join(f"{line}\n" for line in lines)


def _server_errors(app: FastAPI, *, stacked: bool) -> str:
    if app.debug:
        return "Starlette's debug page, since debug=True: never in production"
    if stacked:
        return "Starlette's last resort, for what breaks outside the catch-all"
    return f"a 500 for what nobody handled, outside all middleware, {_by_whom(app)}"


def _by_whom(app: FastAPI) -> str:
    answers = _answers(app)
    return f"by {answers}" if answers else "as plain text"


def _answers(app: FastAPI) -> str:
    own = app.exception_handlers.get(Exception) or app.exception_handlers.get(500)
    return qualified_name(own) if own else ""


def _body_limit(app: FastAPI) -> Iterator[Row]:
    limit = getattr(app, "max_body_size", None)
    if limit is not None:
        yield "body limit", f"FastAPI's own: 413 for a body of more than {limit} bytes, without a request id"


def _layer(app: FastAPI, layer: Middleware) -> Row:
    kind: Any = layer.cls  # typed as a callable, so that comparing it with a class would look impossible
    label = _LABELS.get(kind, name_of(layer))
    if kind is RequestLogMiddleware:
        config = next((found for found in layer.args if isinstance(found, RequestLogConfig)), RequestLogConfig())
        trust = "taken from the request or made" if config.trust_request_id else "always made here"
        return label, f"one line a request; the id is {trust}, and sent as {config.request_id_header}"
    if kind is CorsMiddleware:
        return label, _cors(layer.kwargs)
    if kind is CatchAllMiddleware:
        answers = _answers(app)
        own = answers and not answers.startswith("fastapi_patterns.")  # the package's handlers answer as the stack does
        answer = f"answered by {answers}" if own else "a 500 that says nothing"
        return label, f"for what nobody handled: logged once, {answer}" + (", off with debug=True" if app.debug else "")
    if kind is ResponseMarkMiddleware:
        return label, "notes when the routes begin to answer"
    return label, ""


def _cors(options: Mapping[str, Any]) -> str:
    origins = [str(origin) for origin in options.get("allow_origins", ())]
    if options.get("allow_origin_regex") is not None:
        origins.append(f"what matches {options['allow_origin_regex']}")
    with_credentials = "with" if options.get("allow_credentials") else "without"
    return f"{_listed(origins)}; {with_credentials} credentials"


def _own(own: Sequence[Middleware]) -> Iterator[Row]:
    label = "your middleware"
    for middleware in own:
        text = name_of(middleware)
        if is_base_http(middleware):
            text += ", a BaseHTTPMiddleware: keeps context variables in"
        elif isinstance(middleware.cls, type) and issubclass(middleware.cls, CORSMiddleware):
            text += f": {_cors(middleware.kwargs)}"
        yield label, text
        label = ""


def _handled(app: FastAPI) -> list[str]:
    handled = (key for key in app.exception_handlers if key not in (500, Exception))
    return sorted({key.__name__ if isinstance(key, type) else str(key) for key in handled}, key=str.lower)


def _routes(app: FastAPI) -> str:
    found = list(_leaves(app.routes))
    mounted = [route for route in found if isinstance(route, Mount)]
    sockets = [route for route in found if isinstance(route, WebSocketRoute)]
    parts = [_counted(len(found) - len(mounted) - len(sockets), "route")]
    if sockets:
        parts.append(_counted(len(sockets), "websocket"))
    parts += [f"{type(mount.app).__name__} mounted at {mount.path or '/'}" for mount in mounted]
    return ", ".join(parts)


def _leaves(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        router = getattr(route, "original_router", None)  # since FastAPI 0.137 an included router is one of the routes
        if router is None:
            yield route
        else:
            yield from _leaves(router.routes)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "none"
