"""Every seam to a library's version, and nowhere else."""

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

__all__ = ["current_span", "is_async_callable", "route_template"]


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
