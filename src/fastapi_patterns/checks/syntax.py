"""What rules read in the syntax of one function: its own nodes, and what its names stand for."""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.util import resolve_name
from inspect import getattr_static
from types import FunctionType, MethodType
from typing import Any

from fastapi_patterns.checks.source import Function, function_of, module_tree, resolved

__all__ = ["is_broad", "layers", "method_or_function", "names_in", "own_function", "qualified", "root_of", "within"]

_FUNCTIONS = (FunctionType, MethodType, classmethod, staticmethod)


def within(node: ast.AST) -> Iterator[ast.AST]:
    """Give the nodes below one, without what is in functions that are defined there."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from within(child)


def root_of(node: ast.AST) -> str | None:
    """Name what an expression such as `db.session.commit` begins with; None where that is no name."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def is_broad(kind: ast.expr | None) -> bool:
    """Tell whether an `except` takes any exception."""
    if isinstance(kind, ast.Tuple):
        return any(map(is_broad, kind.elts))
    return kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException"))


def names_in(function: Function) -> dict[str, Any]:
    """Give what names stand for in a function: the globals, without those that it binds itself, and its imports."""
    given = function.node.args
    every = (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg)
    bound: dict[str, Any] = {each.arg: None for each in every if each is not None}
    shared: set[str] = set()
    for node in within(function.node):
        if isinstance(node, ast.Global):
            shared.update(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.setdefault(node.id, None)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.setdefault(node.name, None)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound.update(_imported(node, function.names))
    return {**function.names, **{name: value for name, value in bound.items() if name not in shared}}


def method_or_function(node: ast.expr, names: Mapping[str, Any]) -> Function | None:
    """Find the function of the application's own that a name stands for, or a method of a global object."""
    found = resolved(node, names)
    if found is None and isinstance(node, ast.Attribute):
        owner = resolved(node.value, names)
        found = None if owner is None else getattr_static(owner, node.attr, None)
    # By its type: asking an object that connects when it is looked at would connect.
    return function_of(found) if type(found) in _FUNCTIONS else None


def layers(call: Any) -> Iterator[FunctionType]:
    """Give the functions that run when FastAPI calls this, from the outermost decorator inwards."""
    while isinstance(call, partial):
        call = call.func
    if isinstance(call, type):
        call = getattr_static(call, "__init__")
    call = getattr(call, "__func__", call)  # of a bound method
    if type(call) is not FunctionType and not hasattr(call, "__wrapped__"):
        call = getattr(type(call), "__call__", None)  # noqa: B004  # an object that is called
    seen = set()
    while call is not None and id(call) not in seen:
        seen.add(id(call))
        if type(call) is FunctionType:
            yield call
        call = getattr(call, "__wrapped__", None)


def own_function(layer: FunctionType) -> Function | None:
    """Find the syntax of this function, and not of the one that it is a decorator around."""
    return function_of(FunctionType(layer.__code__, layer.__globals__, None, None, layer.__closure__))


def qualified(function: Function) -> str:
    """Name a function, with its class where it is `__call__`: what FastAPI calls is an object of that class."""
    name = function.node.name
    for node in ast.walk(module_tree(function.file) or ast.Module([], [])) if name == "__call__" else ():
        if isinstance(node, ast.ClassDef) and function.node in node.body:
            return f"{node.name}.{name}"
    return name


def _imported(node: ast.Import | ast.ImportFrom, names: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for each in node.names:
        if isinstance(node, ast.ImportFrom):
            try:
                module = resolve_name("." * node.level + (node.module or ""), str(names.get("__package__") or ""))
            except ImportError:
                continue
            yield each.asname or each.name, getattr(sys.modules.get(module), "__dict__", {}).get(each.name)
        else:  # `import a.b` binds a
            module = each.name if each.asname else each.name.partition(".")[0]
            yield each.asname or module, sys.modules.get(module)
