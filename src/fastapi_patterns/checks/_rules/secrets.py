"""Secrets and what they protect."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from fastapi_patterns.checks.source import place_of
from fastapi_patterns.checks.target import Target

__all__ = ["literals", "unverified"]

_NAMES = re.compile(r"(?i)(^|_)(secret(_key)?|jwt_secret|jwt_key|signing_key|private_key|password|passwd|api_key)$")


def literals(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find texts that are given to names such as SECRET_KEY, in modules and classes. The value is never shown."""
    for tree, file, _ in target.sources:
        for node in ast.walk(tree):
            for name, value in _assigned(node):
                if _NAMES.search(name) and _is_text(value):
                    yield (
                        place_of(file, node.lineno),  # type: ignore[attr-defined]  # an assignment
                        f"{name} is written in the code, where everybody who reads it has it",
                        "read it from the environment, and make a new one: fastapi-patterns secret",
                    )


def unverified(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find `jwt.decode` with the signature's check turned off, and `algorithms` that hold `none`."""
    for tree, file, _ in target.sources:
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "decode"):
                continue
            options = {keyword.arg: keyword.value for keyword in node.keywords}
            off = _turns_off(options.get("options")) or _is_false(options.get("verify"))
            if off or _has_none(options.get("algorithms")):
                yield (
                    place_of(file, node.lineno),
                    "the token's signature is not checked: anybody can write one",
                    "check it; to read an expired token use decode_expired",
                )


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        for each in node.targets:
            if isinstance(each, ast.Name):
                yield each.id, node.value
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        yield node.target.id, node.value


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value != ""


def _turns_off(options: ast.expr | None) -> bool:
    if not isinstance(options, ast.Dict):
        return False
    return any(
        isinstance(key, ast.Constant) and key.value == "verify_signature" and _is_false(value)
        for key, value in zip(options.keys, options.values, strict=True)
    )


def _is_false(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def _has_none(value: ast.expr | None) -> bool:
    elements: Any = getattr(value, "elts", [value])
    return any(
        isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value.lower() == "none"
        for each in elements
    )
