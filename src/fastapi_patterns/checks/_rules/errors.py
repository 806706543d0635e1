"""What errors tell."""

import ast
from collections.abc import Iterator

from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError

from fastapi_patterns.checks.source import calls, function_of, place_of
from fastapi_patterns.checks.target import Target

__all__ = ["debug", "echoed_input", "exception_text"]

_ANSWERS = ("JSONResponse", "PlainTextResponse", "HTMLResponse", "Response", "ORJSONResponse", "HTTPException")


def echoed_input(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find FastAPI's own 422: it sends back what was sent, a password with a missing field beside it too."""
    if target.app.exception_handlers.get(RequestValidationError) is request_validation_exception_handler:
        yield (
            "RequestValidationError",
            "a 422 sends the input back, with the passwords and tokens in it",
            "answer without it: install_error_handlers(app), or a handler that leaves out 'input'",
        )


def exception_text(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find `str(exc)` and the like in the answers of handlers, and of `except` blocks in routes."""
    for _, handler in target.handlers():
        function = function_of(handler)
        if function is not None and function.node.args.args[1:]:
            name = function.node.args.args[1].arg
            if (line := _told(function.node, name)) is not None:
                yield _finding(function.file, line, function.node.name)
    for _, function in target.functions:
        for block in ast.walk(function.node):
            if not (isinstance(block, ast.ExceptHandler) and block.name and _is_broad(block)):
                continue
            if (line := _told(block, block.name)) is not None:
                yield _finding(function.file, line, function.node.name)


def debug(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find `FastAPI(debug=True)`: a 500 shows the code and its variables."""
    if target.app.debug:
        yield ("FastAPI(debug=True)", "a 500 shows source code to whoever sends it", "leave it out in production")


def _finding(file: str, line: int, name: str) -> tuple[str, str, str]:
    return (
        place_of(file, line),
        f"{name} sends the text of an exception, which may hold SQL, paths, addresses or somebody's data",
        "log it, and answer with a text of your own",
    )


def _is_broad(block: ast.ExceptHandler) -> bool:
    """Tell whether a block takes any exception: the text of an own exception may be meant for clients."""
    kind = block.type
    return kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException"))


def _told(node: ast.AST, name: str) -> int | None:
    """Find the line of an answer in which an exception's text is."""
    for call in calls(node):
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if called in _ANSWERS and any(_is_text_of(each, name) for each in ast.walk(call)):
            return call.lineno
    return None


def _is_text_of(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Call):
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        return called in ("str", "repr", "format_exc") and (
            called == "format_exc" or any(isinstance(each, ast.Name) and each.id == name for each in node.args)
        )
    return isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name) and node.value.id == name
