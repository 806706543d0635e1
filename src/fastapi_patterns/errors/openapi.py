"""Keeps the OpenAPI document true: it shows the validation body that the handlers really return."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from fastapi import FastAPI

from fastapi_patterns.errors.renderers import ErrorRenderer

__all__ = ["document_validation_errors"]

_FIELD_ERROR = {
    "title": "ValidationError",
    "type": "object",
    "required": ["field", "message"],
    "properties": {
        "field": {"title": "Field", "type": "string", "examples": ["body.email"]},
        "message": {"title": "Message", "type": "string"},
    },
}


def document_validation_errors(app: FastAPI, renderer: ErrorRenderer) -> None:
    """Replace FastAPI's `HTTPValidationError` in the document by the renderer's schema.

    The original `app.openapi` is called each time: what it caches or adds later is kept, and replacing is idempotent.
    """
    original: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        schemas = document.get("components", {}).get("schemas", {})
        if "HTTPValidationError" in schemas:
            schemas["HTTPValidationError"] = renderer.validation_schema()
            schemas["ValidationError"] = deepcopy(_FIELD_ERROR)  # the document is the application's to change
        return document

    app.openapi = openapi  # type: ignore[method-assign]
