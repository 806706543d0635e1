"""Keeps the OpenAPI document true: it shows the bodies and media types that the handlers really return."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from fastapi import FastAPI

from fastapi_patterns.errors.coded import CodedError
from fastapi_patterns.errors.renderers import ErrorRenderer
from fastapi_patterns.exceptions import ErrorInfo

__all__ = ["document_errors", "error_responses"]

# Where `error_responses` leaves its errors until the renderer is known.
_MARK = "x-fastapi-patterns-errors"
_VALIDATION = "#/components/schemas/HTTPValidationError"

_FIELD_ERROR = {
    "title": "ValidationError",
    "type": "object",
    "required": ["field", "message"],
    "properties": {
        "field": {"title": "Field", "type": "string", "examples": ["body.email"]},
        "message": {"title": "Message", "type": "string"},
    },
}


def error_responses(*errors: type[CodedError]) -> dict[int | str, dict[str, Any]]:
    """Document the errors of a route: `@app.get(..., responses=error_responses(NotFoundError, ConflictError))`.

    The body in the document is the one of the renderer that `install_error_handlers` or `install_stack` was given, with
    an example for each code.
    """
    found: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        info = error().info()
        response = found.setdefault(info.status, {"description": error.__doc__ or error.__name__, _MARK: {}})
        response[_MARK][info.code or error.__name__] = {"detail": info.detail, "code": info.code}
    return found


def document_errors(app: FastAPI, renderer: ErrorRenderer) -> None:
    """Make the document show the renderer's bodies: in place of FastAPI's `HTTPValidationError`, and for codes.

    The original `app.openapi` is called each time: what it caches or adds later is kept, and replacing is idempotent.
    """
    original: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        schemas = document.get("components", {}).get("schemas", {})
        if "HTTPValidationError" in schemas:
            schemas["HTTPValidationError"] = renderer.validation_schema()
            schemas["ValidationError"] = deepcopy(_FIELD_ERROR)  # the document is the application's to change
        for status, response in _responses(document):
            _rewrite(status, response, renderer)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _responses(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in document.get("paths", {}).values():
        for operation in path.values():
            if isinstance(operation, dict):
                yield from operation.get("responses", {}).items()


def _rewrite(status: str, response: dict[str, Any], renderer: ErrorRenderer) -> None:
    content = response.get("content", {})
    json = content.get("application/json")
    if json and json.get("schema", {}).get("$ref") == _VALIDATION and renderer.media_type != "application/json":
        content[renderer.media_type] = content.pop("application/json")
    if marked := response.pop(_MARK, None):
        examples = {
            name: {"value": renderer.body(ErrorInfo(status=int(status), detail=error["detail"], code=error["code"]))}
            for name, error in marked.items()
        }
        response["content"] = {renderer.media_type: {"schema": renderer.error_schema(), "examples": examples}}
