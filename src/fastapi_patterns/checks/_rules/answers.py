"""What of an exception is in the answers that a function gives."""

import ast
from collections.abc import Iterator

from fastapi.exception_handlers import request_validation_exception_handler

from fastapi_patterns.checks.source import Function, resolved
from fastapi_patterns.checks.syntax import names_in, within

__all__ = ["echoes", "tells"]

_ANSWERS = ("JSONResponse", "PlainTextResponse", "HTMLResponse", "Response", "ORJSONResponse", "HTTPException")
_PASS_ON = (*_ANSWERS, "jsonable_encoder", "list", "dict", "str")


def tells(node: ast.AST, name: str, *, returns: bool) -> int | None:
    """Find the line of an answer in which an exception's text is.

    Args:
        node: A function, or an `except` block.
        name: What the exception is called there.
        returns: Whether what it returns is an answer too.
    """
    nodes = list(_about(node, name))
    texts = {
        target.id
        for each in nodes
        if isinstance(each, ast.Assign) and any(_is_text_of(part, name) for part in ast.walk(each.value))
        for target in each.targets
        if isinstance(target, ast.Name)
    }
    for each in nodes:
        answer: ast.expr | None = None
        if isinstance(each, ast.Call) and _called(each) in _ANSWERS:
            answer = each
        elif returns and isinstance(each, ast.Return) and isinstance(each.value, ast.Dict):
            answer = each.value
        for part in ast.walk(answer) if answer is not None else ():
            if _is_text_of(part, name) or (isinstance(part, ast.Name) and part.id in texts):
                return answer.lineno if answer is not None else None
    return None


def echoes(function: Function, name: str) -> int | None:
    """Find the line in which a handler of `RequestValidationError` sends all of its errors, or the body."""
    names = names_in(function)
    for each in within(function.node):
        if isinstance(each, ast.Call) and resolved(each.func, names) is request_validation_exception_handler:
            return each.lineno
        answer = each.value if isinstance(each, ast.Return) and isinstance(each.value, ast.Dict) else each
        if answer is not each or (isinstance(each, ast.Call) and _called(each) in _ANSWERS):
            for part in _passed_whole(answer):
                errors = part.func if isinstance(part, ast.Call) and not part.keywords else part
                if ast.unparse(errors) in (f"{name}.errors", f"{name}.body"):
                    return part.lineno
    return None


def _about(node: ast.AST, name: str) -> Iterator[ast.AST]:
    """Give the nodes below one, without where `isinstance` has told what the exception is, or the name is another's."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.ExceptHandler) and child.name == name:
            continue
        if isinstance(child, ast.If) and f"isinstance({name}," in ast.unparse(child.test):
            yield from (each for other in child.orelse for each in (other, *_about(other, name)))
            continue
        yield child
        yield from _about(child, name)


def _passed_whole(node: ast.AST | None) -> Iterator[ast.expr]:
    """Give the parts of an answer as they are sent: not what a comprehension or another function makes of them."""
    if isinstance(node, ast.Dict | ast.List | ast.Tuple):
        for each in node.values if isinstance(node, ast.Dict) else node.elts:
            yield from _passed_whole(each)
    elif isinstance(node, ast.Call) and _called(node) in _PASS_ON:
        for each in (*node.args, *(keyword.value for keyword in node.keywords)):
            yield from _passed_whole(each)
    elif isinstance(node, ast.expr):
        yield node


def _called(call: ast.Call) -> str:
    return str(getattr(call.func, "id", getattr(call.func, "attr", "")))


def _is_text_of(node: ast.AST, name: str) -> bool:
    """Tell whether this makes a text of an exception."""
    if isinstance(node, ast.Call):
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        called = _called(node)
        return called == "format_exc" or (
            called in ("str", "repr", "format") and any(_is(each, name) for each in given)
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        given = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        return any(_is(each, name) for each in given)
    if isinstance(node, ast.Attribute):
        return node.attr == "args" and _is(node.value, name)
    return isinstance(node, ast.FormattedValue) and _is(node.value, name)


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
