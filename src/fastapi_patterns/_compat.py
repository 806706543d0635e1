"""Every seam to a library's version, and nowhere else."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

__all__ = [
    "EffectiveRoute",
    "current_span",
    "effective_routes",
    "is_async_callable",
    "keep_private_node_id",
    "route_template",
]


def current_span() -> tuple[str, str] | None:
    """Return the ids of OpenTelemetry's current trace and span in hex, or None where there is no span.

    Newer FastAPIs bring `opentelemetry-api` and trace by themselves, older ones may have neither. A program that has
    not imported it has no spans.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else None


class EffectiveRoute(NamedTuple):
    """A route as requests meet it: with the prefixes and dependencies of `include_router`.

    Attributes:
        route: The route, or what FastAPI made of it.
        path: Its whole path in this router.
        dependant: FastAPI's tree of its dependencies; None where it solves none.
    """

    route: Any
    path: str
    dependant: Any


def effective_routes(router: Any) -> Iterator[EffectiveRoute]:
    """Give the routes of a router, included ones among them; what is mounted is one route.

    Since FastAPI 0.137 `routes` holds an included router as one entry, which makes its routes by itself. Later ones
    have `frontend(...)`, whose routes are tried last and kept apart.
    """
    for route in router.routes:
        contexts = getattr(route, "effective_route_contexts", None)
        for context in [route] if contexts is None else contexts():
            effective = getattr(context, "starlette_route", None) or context
            yield EffectiveRoute(effective, getattr(effective, "path", ""), getattr(effective, "dependant", None))
    last = getattr(router, "_iter_low_priority_routes", None)
    for group in () if last is None else last():
        prefix = getattr(group, "frontend_prefix", "")
        for route in getattr(group, "original_route", group).routes:
            yield EffectiveRoute(route, prefix + route.path, group.dependant)


def is_async_callable(call: Callable[..., Any]) -> bool:
    """Tell whether calling this gives an awaitable: functions, partials and objects with an async `__call__`."""
    while isinstance(call, partial):
        call = call.func
    if isinstance(call, type):  # calling a class makes an instance, whatever its `__call__` is
        return False
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004


def route_template(scope: Mapping[str, Any], root_before: str) -> str | None:
    """Read the template of the route that served a request, such as `/api/items/{item_id}`, after the app ran.

    Args:
        scope: The ASGI scope.
        root_before: `scope["root_path"]` as it was before the call; a mount changes it in place.

    Since FastAPI 0.137 `scope["route"].path` lacks the prefixes of `include_router`; the whole template is in
    `scope["fastapi"]["effective_route_context"]`.
    """
    context = scope.get("fastapi")
    effective = context.get("effective_route_context") if isinstance(context, dict) else None
    template = None
    if effective is not None:
        inner = getattr(effective, "starlette_route", None)
        template = getattr(inner, "path_format", None) or getattr(effective, "path_format", None)
    if not template:
        route = scope.get("route")
        template = getattr(route, "path_format", None) or getattr(route, "path", None)
    if not template:
        return None
    root = scope.get("root_path", "")
    mounted = root[len(root_before) :] if root.startswith(root_before) else ""
    return f"{mounted}{template}"


def keep_private_node_id(item: Any) -> None:
    """Give a test the attribute that schemathesis (4.32) reads in `from_fixture`, and that pytest 9.2 has no more."""
    if not hasattr(item, "_nodeid"):
        item._nodeid = item.nodeid
