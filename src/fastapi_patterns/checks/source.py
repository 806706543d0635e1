"""The application's own source: its modules, and the syntax of its functions, each with its place."""

import ast
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from fastapi_patterns.checks.modules import is_foreign, variables_of

__all__ = [
    "Function",
    "Source",
    "calls",
    "defined_at",
    "dotted_name",
    "function_of",
    "is_kind",
    "line_of",
    "module_tree",
    "place_of",
    "resolved",
    "shown",
]

_NAMED = (ModuleType, type, FunctionType, BuiltinFunctionType, MethodType)

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class Function(NamedTuple):
    """A function of the application: its syntax, its file, and its globals."""

    node: FunctionNode
    file: str
    names: dict[str, Any]


class Source(NamedTuple):
    """A module of the application: its syntax, its file, and its globals."""

    tree: ast.Module
    file: str
    names: dict[str, Any]


@cache
def module_tree(file: str) -> ast.Module | None:
    """Parse a file; None where there is none to read."""
    try:
        return ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


@cache
def _functions(file: str) -> dict[tuple[str, int], FunctionNode]:
    tree = module_tree(file)
    nodes = () if tree is None else ast.walk(tree)
    found = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    # A function's first line is that of its first decorator.
    return {(node.name, min([node.lineno, *(each.lineno for each in node.decorator_list)])): node for node in found}


def function_of(call: Any) -> Function | None:
    """Find the syntax of what FastAPI calls; None for what is no function of the application's own."""
    call = _unwrapped(call)
    if not inspect.isfunction(call):
        call = getattr(type(call), "__call__", None)  # noqa: B004  # an object that is called
        if not inspect.isfunction(call):
            return None
    code = call.__code__
    if is_foreign(str(call.__globals__.get("__name__")), code.co_filename):
        return None
    node = _functions(code.co_filename).get((code.co_name, code.co_firstlineno))
    return None if node is None else Function(node, code.co_filename, call.__globals__)


def _unwrapped(call: Any) -> Any:
    """Give the function below partials, bound methods and decorators, without running any `__getattr__`."""
    seen: set[int] = set()
    while id(call) not in seen:
        seen.add(id(call))
        if isinstance(call, partial):
            call = call.func
        elif type(call) is MethodType:
            call = call.__func__
        else:
            call = inspect.getattr_static(call, "__wrapped__", call)
    return call


def calls(node: ast.AST) -> Iterator[ast.Call]:
    """Give the calls within a function, without those of functions that are defined in it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from calls(child)


def resolved(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Give what a name or `module.name` stands for among these globals; None for what they do not tell."""
    found = None
    if isinstance(node, ast.Name):
        found = names.get(node.id)
    elif isinstance(node, ast.Attribute):
        owner = resolved(node.value, names)
        found = variables_of(owner).get(node.attr) if is_kind(owner, ModuleType) else None
    # A proxy says that it is of another class, and may fail or do anything when it is asked.
    return None if any("__class__" in vars(kind) for kind in type(found).__mro__[:-1]) else found


def is_kind(found: Any, kind: type | tuple[type, ...]) -> bool:
    """Tell whether an object is of a class, without asking the object, which `isinstance` does."""
    return issubclass(type(found), kind)


def dotted_name(node: ast.expr, names: Mapping[str, Any]) -> str | None:
    """Write what a name or an attribute stands for as `package.name`, whatever it was imported as."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    found: Any = names.get(node.id) if isinstance(node, ast.Name) else None
    if not is_kind(found, _NAMED):
        return None
    if is_kind(found, ModuleType):
        return ".".join([str(variables_of(found).get("__name__")), *parts])
    root, module = found.__name__, getattr(found, "__module__", None)
    if not isinstance(module, str):
        return ".".join([root, *parts])
    public = ".".join(part for part in module.split(".") if not part.startswith("_"))  # httpx._api.get is httpx.get
    return ".".join([public or module, getattr(found, "__qualname__", root), *parts])


def place_of(file: str, line: int) -> str:
    """Write a place as `file:line`, relative where it is below."""
    return f"{shown(file)}:{line}"


def shown(file: str) -> str:
    """Write a file relative to the folder one is in, where it is below it."""
    try:
        relative = os.path.relpath(file)
    except ValueError:  # on another drive
        return file
    return file if relative.startswith(os.pardir) else relative


def line_of(place: str) -> tuple[str, int]:
    """Give the file and the line of a place; the whole of it and 0 for one that is no line."""
    file, _, line = place.rpartition(":")
    return (file, int(line)) if line.isdecimal() else (place, 0)


def defined_at(call: Callable[..., Any]) -> str:
    """Write where a function is, or its name where that cannot be found."""
    found = function_of(call)
    if found is not None:
        return place_of(found.file, found.node.lineno)
    return str(getattr(call, "__qualname__", type(call).__qualname__))
