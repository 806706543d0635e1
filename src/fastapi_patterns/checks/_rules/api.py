"""What is deprecated or lost in the installed versions, and what the OpenAPI document leaves out."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from types import FunctionType
from typing import Any

from fastapi.datastructures import DefaultPlaceholder
from starlette import status
from starlette.responses import JSONResponse

from fastapi_patterns.checks.source import defined_at, place_of, resolved
from fastapi_patterns.checks.target import Target

__all__ = ["deprecated", "lost_handlers", "undescribed"]

_LIBRARIES = ("fastapi", "starlette", "sqlalchemy")
_RUN_BY_HAND = ("startup", "_startup", "on_startup")


def lost_handlers(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find start-up and shutdown handlers beside a `lifespan=`, which replaces what would run them."""
    nodes = (node for source in target.sources for node in ast.walk(source.tree))
    if any(isinstance(node, ast.Attribute) and node.attr in _RUN_BY_HAND for node in nodes):
        return
    router = target.app.router
    running = list(_run_by(router.lifespan_context, set()))
    for handler in _handlers(router):
        if not any(handler in _handlers(each) for each in running):
            yield (
                defined_at(handler),
                "this handler never runs: the application has a lifespan, which takes its place",
                "call it in the lifespan, before the yield for start-up and after it for shutdown",
            )


def deprecated(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find what the installed FastAPI, Starlette and SQLAlchemy themselves mark as deprecated."""
    for handler in _handlers(target.app.router):
        yield (
            defined_at(handler),
            "event handlers are deprecated in FastAPI",
            "write a lifespan: FastAPI(lifespan=...)",
        )
    for source in target.sources:
        seen = set()
        for node in ast.walk(source.tree):
            for name, instead in _marked(node, source.names):
                if name not in seen:  # once a file
                    seen.add(name)
                    yield (place_of(source.file, node.lineno), f"{name} is deprecated", instead)  # type: ignore[attr-defined]


def undescribed(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find routes in the OpenAPI document that say nothing on what they return; all in one finding."""
    routes = [endpoint for endpoint in target.endpoints if _is_described(endpoint.route)]
    silent = [endpoint for endpoint in routes if _says_nothing(endpoint.route)]
    if silent:
        names = ", ".join(f"{each.method} {each.path}" for each in silent[:3]) + (", ..." if len(silent) > 3 else "")
        yield (
            "OpenAPI",
            f"{len(silent)} of {len(routes)} operations do not say what they return: {names}",
            "annotate what the functions return, which also keeps other fields out of the answers",
        )


def _handlers(router: Any) -> list[Any]:
    return [*getattr(router, "on_startup", ()), *getattr(router, "on_shutdown", ())]


def _run_by(lifespan: Any, seen: set[int]) -> Iterator[Any]:
    """Give the routers whose handlers a lifespan runs: one of a router's own, which others may be wrapped around."""
    if id(lifespan) in seen:
        return
    seen.add(id(lifespan))
    if type(lifespan).__name__ == "_DefaultLifespan":
        yield lifespan._router
    parts: tuple[Any, ...] = ()
    if isinstance(lifespan, partial):
        parts = (lifespan.func, *lifespan.args, *lifespan.keywords.values())
    elif isinstance(lifespan, FunctionType):
        parts = tuple(inspect.getclosurevars(lifespan).nonlocals.values())
    for each in parts:
        yield from _run_by(each, seen)


def _marked(node: ast.AST, names: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Call):
        called = resolved(node.func, names)
        marks = _deprecated_parameters(called) if isinstance(called, type | FunctionType) else {}
        for keyword in node.keywords:
            # A constant that is empty is what the parameter is without being given.
            if keyword.arg in marks and (not isinstance(keyword.value, ast.Constant) or keyword.value.value):
                yield f"{called.__name__}({keyword.arg}=...)", marks[keyword.arg]
    elif isinstance(node, ast.Attribute) and resolved(node.value, names) is status:
        if node.attr in getattr(status, "__deprecated__", ()):
            yield f"status.{node.attr}", "take the name of RFC 9110 for the same number"
    elif isinstance(node, ast.Name | ast.Attribute):
        found = resolved(node, names)
        if isinstance(found, type | FunctionType) and _is_of(found, *_LIBRARIES):
            text = getattr(found, "__deprecated__", None)
            if isinstance(text, str):
                yield found.__name__, _first_sentence(text)
            elif "_sa_warn" in vars(found):
                yield f"{found.__module__}.{found.__name__}", "derive the models from sqlalchemy.orm.DeclarativeBase"


@cache
def _deprecated_parameters(called: Callable[..., Any]) -> dict[str, str]:
    """Find the parameters that a function of FastAPI's marks with `deprecated(...)`, and its words."""
    if not _is_of(called, "fastapi"):
        return {}
    try:
        parameters = inspect.signature(called).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {
        parameter.name: _first_sentence(mark.message)
        for parameter in parameters
        for mark in getattr(parameter.annotation, "__metadata__", ())
        if type(mark).__name__ == "deprecated" and "eprecated" in mark.message
    }


def _is_of(found: Any, *packages: str) -> bool:
    return str(getattr(found, "__module__", "")).partition(".")[0] in packages


def _first_sentence(text: str) -> str:
    return re.split(r"[.](?:\s|$)", " ".join(text.split()))[0]


def _is_described(route: Any) -> bool:
    """Tell whether a route is an operation of the document."""
    return bool(getattr(route, "include_in_schema", False)) and hasattr(route, "response_model")


def _says_nothing(route: Any) -> bool:
    """Tell whether an operation has an answer of which it has no schema, by nobody's choice."""
    status_code = route.status_code or 200
    if (
        route.response_model is not None
        or status_code < 200
        or status_code in (204, 205, 304)
        or 300 <= status_code < 400
    ):
        return False
    if not isinstance(route.response_class, DefaultPlaceholder) or route.response_class.value is not JSONResponse:
        return False  # files, pages and redirects
    if any(str(code).startswith("2") or code == "default" for code in route.responses) or route.openapi_extra:
        return False
    call = route.endpoint
    while isinstance(call, partial):
        call = call.func
    if not inspect.isroutine(call) or getattr(call, "__name__", "") == "<lambda>":
        return False
    try:
        return inspect.signature(call).return_annotation is inspect.Signature.empty
    except (TypeError, ValueError):
        return False
