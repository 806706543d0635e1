"""Database sessions of requests."""

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from fastapi_patterns.checks.source import Function, calls, defined_at, function_of, place_of
from fastapi_patterns.checks.syntax import method_or_function, names_in, qualified, root_of, within
from fastapi_patterns.checks.target import Target

__all__ = ["commit_after_response", "two_scopes"]


def commit_after_response(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find `yield` dependencies that commit when the response has been sent: FastAPI's default scope ends then."""
    seen = set()
    for endpoint in target.endpoints:
        for dependant in _below(endpoint.dependant) if endpoint.method != "WEBSOCKET" else ():
            function = function_of(dependant.call)
            if function is None or getattr(dependant, "scope", None) == "function" or id(function.node) in seen:
                continue
            line = next(_commits(function), None)
            if line is not None:
                seen.add(id(function.node))
                name = qualified(function)
                made = name.replace(".__call__", "(...)")
                yield (
                    place_of(function.file, line),
                    f"{name} commits when the client has its answer: one that fails was called a success",
                    f"end it before the response: Depends({made}, scope='function')",
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
                f"{endpoint.method} {endpoint.path} gets two of what {name} yields, one in each scope",
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


def _commits(function: Function, *, own_blocks: bool = True) -> Iterator[int]:
    """Give the lines that commit what a function yields, after its `yield`."""
    node, names = function.node, names_in(function)
    yields = [each for each in within(node) if isinstance(each, ast.Yield)]
    if not yields:
        return
    for block in within(node):
        if isinstance(block, ast.With | ast.AsyncWith) and any(each in yields for each in within(block)):
            for item in block.items:
                if _commits_at_its_end(item.context_expr, names, own_blocks=own_blocks):
                    yield item.context_expr.lineno
    handed = {each.id for found in yields for each in ast.walk(found) if isinstance(each, ast.Name)}
    if not any(found.value for found in yields):  # it yields nothing, and commits what it was given
        handed |= {each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    spans = [(found.lineno, _end_of(node, found.lineno)) for found in yields]
    for call in calls(node):
        if any(start < call.lineno <= end for start, end in spans) and _commits_one_of(handed, call, names):
            yield call.lineno


def _commits_at_its_end(context: ast.expr, names: dict[str, Any], *, own_blocks: bool) -> bool:
    """Tell whether a `with` block commits: `session.begin()`, or an own context manager with a commit at its end."""
    if not isinstance(context, ast.Call):
        return False
    if isinstance(context.func, ast.Attribute) and context.func.attr == "begin":
        return True
    manager = method_or_function(context.func, names) if own_blocks else None
    return manager is not None and next(_commits(manager, own_blocks=False), None) is not None


def _commits_one_of(handed: set[str], call: ast.Call, names: dict[str, Any]) -> bool:
    """Tell whether a call commits one of these, itself or in a function of the application's own."""
    if _is_commit(call):
        return root_of(call.func) in handed
    helper = method_or_function(call.func, names)
    if helper is None:
        return False
    given = [each.arg for each in (*helper.node.args.posonlyargs, *helper.node.args.args)]
    ours = {name for name, value in zip(given, call.args, strict=False) if root_of(value) in handed}
    return any(_is_commit(each) and root_of(each.func) in ours for each in calls(helper.node))


def _is_commit(call: ast.Call) -> bool:
    """Tell whether it may be a database's: that of a repository of git takes a message."""
    return isinstance(call.func, ast.Attribute) and call.func.attr == "commit" and not (call.args or call.keywords)


def _end_of(node: ast.AST, line: int) -> int:
    """Give the last line that runs after this one: a `return` further down in one of its blocks ends it."""
    ends = [sys.maxsize]
    for each in (node, *within(node)):
        for block in (getattr(each, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(block, list) and block and block[0].lineno <= line <= block[-1].end_lineno:
                ends += [after.lineno for after in block if isinstance(after, ast.Return) and after.lineno > line]
    return min(ends)
