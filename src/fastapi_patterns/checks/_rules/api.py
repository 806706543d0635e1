"""What is deprecated or lost in the installed versions, and what the OpenAPI document leaves out."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from types import FunctionType
from typing import Any

from fastapi import FastAPI
from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRouter
from starlette import status
from starlette.responses import JSONResponse

from fastapi_patterns.checks.source import Source, defined_at, place_of, resolved
from fastapi_patterns.checks.target import Target

__all__ = ["deprecated", "lost_handlers", "undescribed"]

_LIBRARIES = ("fastapi", "starlette", "sqlalchemy")
_EVENTS = ("on_event", "add_event_handler")
_RUN_BY_HAND = ("startup", "_startup", "on_startup")


def lost_handlers(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find start-up and shutdown handlers beside a `lifespan=`, which replaces what would run them."""
    for source in target.sources:
        nodes = list(ast.walk(source.tree))
        if any(isinstance(node, ast.Attribute) and node.attr in _RUN_BY_HAND for node in nodes):
            continue
        with_lifespan = set(_with_lifespan(nodes, source))
        for node in nodes:
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _EVENTS):
                continue
            owner = node.func.value
            if isinstance(owner, ast.Attribute) and owner.attr == "router":  # of the application
                owner = owner.value
            if isinstance(owner, ast.Name) and owner.id in with_lifespan:
                yield (
                    place_of(source.file, node.lineno),
                    f"this handler never runs: {owner.id} has a lifespan, which takes its place",
                    "call it in the lifespan, before the yield for start-up and after it for shutdown",
                )


def deprecated(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find what the installed FastAPI, Starlette and SQLAlchemy themselves mark as deprecated."""
    for handler in (*target.app.router.on_startup, *target.app.router.on_shutdown):
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
    routes = [endpoint for endpoint in target.endpoints if endpoint.route is not None]
    silent = [endpoint for endpoint in routes if _says_nothing(endpoint.route)]
    if silent:
        names = ", ".join(f"{each.method} {each.path}" for each in silent[:3]) + (", ..." if len(silent) > 3 else "")
        yield (
            "OpenAPI",
            f"{len(silent)} of {len(routes)} operations do not say what they return: {names}",
            "annotate what the functions return, which also keeps other fields out of the answers",
        )


def _with_lifespan(nodes: list[ast.AST], source: Source) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            kind = resolved(node.value.func, source.names)
            given = [each.value for each in node.value.keywords if each.arg == "lifespan"]
            if (
                isinstance(kind, type)
                and issubclass(kind, FastAPI | APIRouter)
                and given
                and not isinstance(given[0], ast.Constant)
            ):
                yield from (each.id for each in node.targets if isinstance(each, ast.Name))


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


def _says_nothing(route: Any) -> bool:
    """Tell whether an operation in the document has an answer of which it has no schema, by nobody's choice."""
    if not getattr(route, "include_in_schema", False) or not hasattr(route, "response_model"):
        return False
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
