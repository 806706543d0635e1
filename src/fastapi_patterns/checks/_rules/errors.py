"""What errors tell."""

import ast
import inspect
from collections.abc import Iterator
from typing import Any

from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from fastapi_patterns.checks._rules.answers import echoes, tells
from fastapi_patterns.checks.applications import applications
from fastapi_patterns.checks.source import function_of, place_of
from fastapi_patterns.checks.syntax import is_broad, qualified
from fastapi_patterns.checks.target import Target

__all__ = ["debug", "echoed_input", "exception_text"]

_ECHO = "a 422 sends the input back, whatever passwords and tokens are in it"
_NO_ECHO = "answer without it: install_error_handlers(app), or a handler that leaves out 'input'"


def echoed_input(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find FastAPI's own 422, and others with all of it: a password with a missing field beside it is sent back too."""
    with_body = {id(endpoint.app) for endpoint in target.endpoints if _has_body(endpoint.dependant)}
    for where, app in applications(target):
        handler: Any = app.exception_handlers.get(RequestValidationError)
        if id(app) not in with_body:
            continue
        if handler is request_validation_exception_handler:
            yield (f"RequestValidationError{where}", _ECHO, _NO_ECHO)
        function = function_of(handler)
        if function is not None:
            line = echoes(function, _exception_of(handler))
            if line is not None:
                yield (place_of(function.file, line), _ECHO, _NO_ECHO)


def exception_text(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find `str(exc)` and the like in the answers of handlers, and of `except` blocks in routes."""
    own = {source.names.get("__name__") for source in target.sources}
    for _, app in applications(target):
        for kind, handler in app.exception_handlers.items():
            function = function_of(handler) if _is_foreign(kind, own) else None
            if (
                function is not None
                and (line := tells(function.node, _exception_of(handler), returns=True)) is not None
            ):
                yield _finding(function.file, line, qualified(function))
    answering = {id(found.node) for each in target.endpoints if (found := function_of(each.answering)) is not None}
    for _, function in target.functions:
        for block in ast.walk(function.node):
            if not (isinstance(block, ast.ExceptHandler) and block.name and is_broad(block.type)):
                continue
            if (line := tells(block, block.name, returns=id(function.node) in answering)) is not None:
                yield _finding(function.file, line, qualified(function))


def debug(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find `FastAPI(debug=True)`: a 500 shows the code and its variables."""
    for where, app in applications(target):
        if app.debug:
            place = f"FastAPI(debug=True){where}"
            yield (place, "a 500 shows source code to whoever sends it", "leave it out in production")


def _finding(file: str, line: int, name: str) -> tuple[str, str, str]:
    return (
        place_of(file, line),
        f"{name} sends the text of an exception, which may hold SQL, paths, addresses or somebody's data",
        "log it, and answer with a text of your own",
    )


def _has_body(dependant: Any) -> bool:
    return dependant is not None and (bool(dependant.body_params) or any(map(_has_body, dependant.dependencies)))


def _exception_of(handler: Any) -> str:
    """Name the parameter in which a handler gets the exception: the second, without the `self` of a method."""
    return [*inspect.signature(handler).parameters, "", ""][1]


def _is_foreign(kind: Any, own: set[Any]) -> bool:
    """Tell whether a handler answers what others raise: the text of an own exception may be meant for clients."""
    if isinstance(kind, int):
        return kind == 500
    return kind.__module__ not in own and not issubclass(kind, HTTPException)
