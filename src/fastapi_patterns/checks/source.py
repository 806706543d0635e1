"""The application's own source: its modules, and the syntax of its functions, each with its place."""

import ast
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

__all__ = [
    "Function",
    "Source",
    "calls",
    "defined_at",
    "dotted_name",
    "function_of",
    "is_ignored",
    "module_tree",
    "modules_of",
    "place_of",
    "resolved",
    "shown",
]

_IGNORE = re.compile(r"#\s*patterns:\s*ignore\[([A-Z0-9,\s]+)\]")
_INSTALLED = ("site-packages", "dist-packages")

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
        return ast.parse(Path(file).read_text(encoding="utf-8"))
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
    while isinstance(call, partial):
        call = call.func
    call = getattr(call, "__func__", call)  # of a bound method
    try:
        call = inspect.unwrap(call) if callable(call) else call
    except ValueError:  # it wraps itself
        return None
    if not inspect.isfunction(call):
        call = getattr(type(call), "__call__", None)  # noqa: B004  # an object that is called
        if not inspect.isfunction(call):
            return None
    code = call.__code__
    if any(part in code.co_filename for part in _INSTALLED):
        return None
    node = _functions(code.co_filename).get((code.co_name, code.co_firstlineno))
    return None if node is None else Function(node, code.co_filename, call.__globals__)


def modules_of(app_module: str) -> Iterator[ModuleType]:
    """Give the modules that were imported from the application's own package, or from beside its module."""
    package = app_module.partition(".")[0]
    top = sys.modules.get(package)
    file = getattr(sys.modules.get(app_module), "__file__", None)
    folder = None if file is None or hasattr(top, "__path__") else os.path.dirname(os.path.abspath(file))
    for name, module in sorted(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if not path or any(part in path for part in _INSTALLED):
            continue
        if name.partition(".")[0] == package or (
            folder is not None and os.path.dirname(os.path.abspath(path)) == folder
        ):
            yield module


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
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = resolved(node.value, names)
        return vars(owner).get(node.attr) if isinstance(owner, ModuleType) else None
    return None


def dotted_name(node: ast.expr, names: Mapping[str, Any]) -> str | None:
    """Write what a name or an attribute stands for as `package.name`, whatever it was imported as."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    found = names.get(node.id) if isinstance(node, ast.Name) else None
    root = getattr(found, "__name__", None)
    if not isinstance(root, str):
        return None
    module = getattr(found, "__module__", None)
    if not isinstance(module, str) or module == root:
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


def is_ignored(rule: str, place: str) -> bool:
    """Tell whether the line of a place, or the one above it, says `# patterns: ignore[RULE]`."""
    file, _, line = place.rpartition(":")
    if not line.isdigit():
        return False
    lines = _lines(file)
    near = lines[max(0, int(line) - 2) : int(line)]
    found = [match[1] for text in near if (match := _IGNORE.search(text))]
    return any(rule in re.split(r"[\s,]+", ids) for ids in found)


@cache
def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []


def defined_at(call: Callable[..., Any]) -> str:
    """Write where a function is, or its name where that cannot be found."""
    found = function_of(call)
    if found is not None:
        return place_of(found.file, found.node.lineno)
    return str(getattr(call, "__qualname__", type(call).__qualname__))
