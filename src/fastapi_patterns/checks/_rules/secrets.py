"""Secrets that are written in the code."""

import ast
import os
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from starlette.config import Config

from fastapi_patterns.checks._rules.secret_texts import is_secret, is_url_with_password, refers_elsewhere
from fastapi_patterns.checks.source import Source, is_kind, place_of, resolved
from fastapi_patterns.checks.target import Target

__all__ = ["literals"]

_NAMES = re.compile(r"(?i)(^|_)(secret(_key)?|jwt_secret|jwt_key|signing_key|private_key|password|passwd|api_key)$")
_WRAPPERS = ("SecretStr", "SecretBytes", "Secret", "Field", "field")
_EXAMPLES = ("example", "examples", "openapi_examples", "json_schema_extra")

Found = tuple[int, str, str]  # the line, what is wrong, and what to write


def literals(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find texts that are given to names such as SECRET_KEY, or that stand in for them. The value is never shown."""
    for source in target.sources:
        for node in _nodes(source.tree, source.names):
            for line, why, mend in (*_given(node), *_instead(node, source), *_in_urls(node)):
                yield place_of(source.file, line), why, mend


def _nodes(tree: ast.Module, names: Mapping[str, Any]) -> Iterator[ast.AST]:
    """Walk through the code, but not into enums, docstrings and examples for the documentation."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        yield node
        for child in ast.iter_child_nodes(node):
            text = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            example = isinstance(child, ast.keyword) and child.arg in _EXAMPLES
            if not text and not example and not _is_enum(child, names):
                left.append(child)


def _is_enum(node: ast.AST, names: Mapping[str, Any]) -> bool:
    for base in node.bases if isinstance(node, ast.ClassDef) else ():
        kind = resolved(base, names)
        if (is_kind(kind, type) and issubclass(kind, Enum)) or ast.unparse(base).endswith("Enum"):
            return True
    return False


def _given(node: ast.AST) -> Iterator[Found]:
    for name, value, line in _assigned(node):
        text = _text(value)
        if text is not None and _NAMES.search(name) and is_secret(name, text):
            yield (
                line,
                f"{name} is written in the code, where everybody who reads it has it",
                "read it from the environment, and make a new one: fastapi-patterns secret",
            )


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr, int]]:
    """Give names with what they are given: by assignments, by keyword, and by the upper-case keys of a dict."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            else:
                pairs = [(target, node.value)]
            yield from ((_name(each), value, node.lineno) for each, value in pairs)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        if not any(_name(each) == "Literal" for each in ast.walk(node.annotation)):
            yield _name(node.target), node.value, node.lineno
    elif isinstance(node, ast.Call):
        yield from ((each.arg or "", each.value, each.value.lineno) for each in node.keywords)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.isupper():
                yield key.value, value, value.lineno


def _instead(node: ast.AST, source: Source) -> Iterator[Found]:
    """Find `os.getenv("SECRET_KEY", "changeme")`, and `or "changeme"` behind it."""
    pairs: list[tuple[ast.expr, ast.expr]] = []
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        pairs = list(zip(node.values, node.values[1:], strict=False))
    elif isinstance(node, ast.Call):
        defaults = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "default")]
        pairs = [(node, default) for default in defaults]
    for asked, default in pairs:
        name, text = _variable(asked, source.names), _text(default)
        if name is not None and text is not None and _NAMES.search(name) and not refers_elsewhere(text):
            yield (
                asked.lineno,
                f"without {name} the application starts, with a secret that everybody who reads the code has",
                f"let it not start: os.environ['{name}']",
            )


def _variable(node: ast.expr, names: Mapping[str, Any]) -> str | None:
    """Name the variable of the environment that a call asks for."""
    if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
        return None
    called = resolved(node.func, names)
    of_environ = isinstance(node.func, ast.Attribute) and resolved(node.func.value, names) is os.environ
    asks = called is os.getenv or is_kind(called, Config) or (of_environ and _name(node.func) in ("get", "setdefault"))
    return str(node.args[0].value) if asks else None


def _in_urls(node: ast.AST) -> Iterator[Found]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and is_url_with_password(node.value):
        yield (
            node.lineno,
            "a URL has a password in it, which everybody who reads the code has",
            "read the URL from the environment, and change the password",
        )


def _text(node: ast.expr) -> str | None:
    """Give a text as it is written, also in `SecretStr(...)` or as the default of a field."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
    if isinstance(node, ast.Call) and _name(node.func) in _WRAPPERS:
        defaults = [*node.args[:1], *(each.value for each in node.keywords if each.arg == "default")]
        return _text(defaults[0]) if defaults else None
    return None


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else str(getattr(node, "id", ""))
