"""Every seam to a library's version, and nowhere else."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

__all__ = ["is_async_callable", "route_template"]


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
