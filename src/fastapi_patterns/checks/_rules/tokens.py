"""Tokens that are read without a check of who wrote them."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi_patterns.checks.source import calls, dotted_name, is_kind, place_of, resolved
from fastapi_patterns.checks.target import Target

__all__ = ["unverified"]

_DECODE = ("decode", "decode_complete")
_READ = ("get_unverified_claims",)
_SCOPES = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def unverified(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find `jwt.decode` without the check of the signature, unless the same function checks the same token too."""
    for tree, file, names in target.sources:
        nodes = list(ast.walk(tree))
        if not any(isinstance(node, ast.Call) and _is_open(node, names) for node in nodes):
            continue
        for scope in (node for node in nodes if isinstance(node, _SCOPES)):
            found = list(calls(scope))
            handed_out = {id(part) for each in ast.walk(scope) if isinstance(each, ast.Return) for part in _heads(each)}
            checked = {_token(call) for call in found if _called(call) in _DECODE and not _is_open(call, names)}
            for call in found:
                if _is_open(call, names) and (id(call) in handed_out or _token(call) not in checked - {None}):
                    yield (
                        place_of(file, call.lineno),
                        "the token's signature is not checked: anybody can write one",
                        "check it; to read an expired token use decode_expired",
                    )


def _heads(node: ast.AST | None) -> Iterator[ast.AST]:
    """Give what `return jwt.decode(...)["sub"]` and the like hand out a part of."""
    while node is not None:
        yield node
        node = node.func if isinstance(node, ast.Call) else getattr(node, "value", None)


def _is_open(call: ast.Call, names: Mapping[str, Any]) -> bool:
    """Tell whether a call reads a token as PyJWT and python-jose do, and takes any."""
    if _called(call) not in (*_DECODE, *_READ):
        return False
    root = ast.unparse(call.func).partition(".")[0]
    name = dotted_name(call.func, names) if root in names else root  # what a function imports is not known
    if str(name).partition(".")[0] not in ("jwt", "jose"):
        return False
    if _called(call) in _READ:
        return True
    given = {"algorithms": call.args[2:3], "options": call.args[3:4]}
    for keyword in call.keywords:
        given[keyword.arg or ""] = [keyword.value]
    options, verify, algorithms = (
        _value(given.get(name, []), names, without)
        for name, without in (("options", {}), ("verify", True), ("algorithms", ()))
    )
    off = is_kind(options, dict) and options.get("verify_signature") is False
    return off or verify is False or _has_none(algorithms)


def _value(nodes: list[ast.expr], names: Mapping[str, Any], without: Any) -> Any:
    """Give what an argument is: as it is written, a constant of the module, or `dict(...)`."""
    if not nodes:
        return without
    node = nodes[0]
    if isinstance(node, ast.Name | ast.Attribute):
        return resolved(node, names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {each.arg: _value([each.value], names, None) for each in node.keywords}
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {key.value: _value([value], names, None) for key, value in pairs if isinstance(key, ast.Constant)}
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [_value([each], names, None) for each in node.elts]
    return node.value if isinstance(node, ast.Constant) else None


def _has_none(algorithms: Any) -> bool:
    several = algorithms if is_kind(algorithms, (list, tuple, set, frozenset)) else [algorithms]
    return any(is_kind(each, str) and each.lower() == "none" for each in several)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else str(getattr(call.func, "id", ""))


def _token(call: ast.Call) -> str | None:
    given = [*call.args[:1], *(each.value for each in call.keywords if each.arg in ("jwt", "token"))]
    return ast.unparse(given[0]) if given else None
