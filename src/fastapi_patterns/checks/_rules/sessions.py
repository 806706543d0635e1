"""Database sessions of requests."""

import ast
import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any

from fastapi_patterns.checks.source import calls, defined_at, function_of, place_of
from fastapi_patterns.checks.target import Target

__all__ = ["commit_after_response", "two_scopes"]


def commit_after_response(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find `yield` dependencies that commit when the response has been sent: FastAPI's default scope ends then."""
    seen = set()
    for endpoint in target.endpoints:
        for dependant in _below(endpoint.dependant):
            function = function_of(dependant.call)
            if function is None or getattr(dependant, "scope", None) == "function" or id(function.node) in seen:
                continue
            line = _commit_after_yield(function.node)
            if line is not None:
                seen.add(id(function.node))
                yield (
                    place_of(function.file, line),
                    f"{function.node.name} commits when the client has its answer: one that fails was called a success",
                    f"end it before the response: Depends({function.node.name}, scope='function')",
                )


def two_scopes(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find a `yield` dependency that a route has in two scopes: FastAPI makes one for each."""
    seen = set()
    for endpoint in target.endpoints:
        scopes: dict[Any, set[str]] = {}
        for dependant in _below(endpoint.dependant):
            if dependant.call is not None and _yields(dependant.call):
                scopes.setdefault(dependant.call, set()).add(getattr(dependant, "scope", None) or "request")
        for call in (call for call, found in scopes.items() if len(found) > 1 and call not in seen):
            seen.add(call)
            name = getattr(call, "__name__", type(call).__name__)
            yield (
                defined_at(call),
                f"{endpoint.method} {endpoint.path} gets two of {name}, one in each scope: two sessions in one request",
                f"write the same scope everywhere: Depends({name}, scope='function')",
            )


def _yields(call: Any) -> bool:
    while isinstance(call, partial):
        call = call.func
    kinds = (call, getattr(type(call), "__call__", None))  # noqa: B004  # an object that is called
    return any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in kinds)


def _below(dependant: Any) -> Iterator[Any]:
    for dependency in () if dependant is None else dependant.dependencies:
        yield dependency
        yield from _below(dependency)


def _commit_after_yield(node: ast.AST) -> int | None:
    yields = [each.lineno for each in ast.walk(node) if isinstance(each, ast.Yield)]
    if not yields:
        return None
    commits = [
        call.lineno for call in calls(node) if isinstance(call.func, ast.Attribute) and call.func.attr == "commit"
    ]
    return next((line for line in commits if line > yields[0]), None)
