"""Keeps the OpenAPI document true: it shows the bodies, statuses and media types that are really sent."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from fastapi import FastAPI

from fastapi_patterns._openapi import DETAIL
from fastapi_patterns.errors.coded import CodedError
from fastapi_patterns.errors.components import VALIDATION, add_schema, refers, reset_validation
from fastapi_patterns.errors.json_values import json_value
from fastapi_patterns.errors.renderers import ErrorRenderer
from fastapi_patterns.exceptions import ErrorInfo

__all__ = ["document_errors", "error_responses"]

# Where `error_responses` leaves its errors until the renderer is known.
_MARK = "x-fastapi-patterns-errors"
_DEFAULT_REF = {"$ref": f"#/components/schemas/{VALIDATION}"}
_DEFAULT_DESCRIPTION = "Validation Error"
_JSON = "application/json"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_CHALLENGE = {"description": "How to authenticate (RFC 9110 section 11.6.1)", "schema": {"type": "string"}}


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


class _TrueDocument:
    """`app.openapi`, completed: the original is called each time, what it caches or adds later is kept."""

    def __init__(
        self,
        original: Callable[[], dict[str, Any]],
        renderer: ErrorRenderer,
        validation_status: int,
        validates: Callable[[], bool],
    ) -> None:
        self.original = original
        self._renderer = renderer
        self._validation_status = validation_status
        self._validates = validates
        self._done: dict[str, Any] | None = None
        self._added: dict[str, Any] = {}

    def __call__(self) -> dict[str, Any]:
        document = self.original()
        if document is not self._done:  # a document that is done is the application's to change
            status = str(self._validation_status) if self._validates() else None
            _complete(document, self._renderer, status, self._added)
            self._done = document
        return document


def document_errors(
    app: FastAPI, renderer: ErrorRenderer, validation_status: int, validates: Callable[[], bool]
) -> None:
    """Make the document show what is sent: validation errors, `error_responses`, and FastAPI's own 400, 401 and 403.

    Args:
        app: The application.
        renderer: Shapes the bodies.
        validation_status: Status of a failed validation.
        validates: Whether validation errors are answered by the renderer; asked when the document is made.
    """
    original = app.openapi
    if isinstance(original, _TrueDocument):
        original = original.original
    app.openapi = _TrueDocument(original, renderer, validation_status, validates)  # type: ignore[method-assign]


def _complete(
    document: dict[str, Any], renderer: ErrorRenderer, validation_status: str | None, added: dict[str, Any]
) -> None:
    schemas: dict[str, Any] = document.get("components", {}).get("schemas", {})
    before = set(schemas)
    writer = _Writer(schemas, renderer)
    if validation_status is not None and reset_validation(schemas):
        writer.validation()  # an operation, or the application by itself, refers to it
    for operation in _operations(document):
        responses = operation.setdefault("responses", {})
        own = {status for status, response in responses.items() if _MARK not in response}
        for status in responses.keys() - own:
            writer.describe(status, responses[status])
        for status, response in responses.items():
            if isinstance(response, dict) and response.get("content", {}).get(_JSON, {}).get("schema") == DETAIL:
                del response["content"]
                writer.detail(responses, status, response["description"])
        if validation_status is not None and writer.is_default_validation(responses.get("422")):
            own.discard("422")
            writer.move_validation(responses, validation_status)
        if own.isdisjoint({"4XX", "default"}):
            _add_fastapis(operation, document, own, writer)
    # Operations may be shared with a document that was done before, a copy of which has lost our components.
    schemas.update((name, schema) for name, schema in added.items() if name not in schemas and refers(document, name))
    added.update((name, schema) for name, schema in schemas.items() if name not in before)
    if schemas:
        document.setdefault("components", {})["schemas"] = schemas


def _add_fastapis(operation: dict[str, Any], document: dict[str, Any], own: set[str], writer: "_Writer") -> None:
    """Document what FastAPI and its security schemes answer, where the application does not by itself."""
    responses = operation["responses"]
    if "requestBody" in operation and "400" not in own:
        writer.detail(responses, "400", "The body cannot be parsed")
    security = operation.get("security", document.get("security")) or []
    if security and "401" not in own:
        headers = writer.detail(responses, "401", "Not authenticated").setdefault("headers", {})
        headers.setdefault("WWW-Authenticate", deepcopy(_CHALLENGE))
    if "403" not in own and any(scopes for requirement in security for scopes in requirement.values()):
        writer.detail(responses, "403", "Not enough permissions")


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document.get("paths", {}).values():
        for method in _METHODS:
            if isinstance(path.get(method), dict):
                yield path[method]


class _Writer:
    """Writes the renderer's bodies into responses; the schemas go into the components when they are needed."""

    def __init__(self, schemas: dict[str, Any], renderer: ErrorRenderer) -> None:
        self._schemas = schemas
        self._renderer = renderer

    def validation(self) -> dict[str, str]:
        return add_schema(self._schemas, VALIDATION, self._renderer.validation_schema())

    def error(self) -> dict[str, str]:
        schema = self._renderer.error_schema()
        return add_schema(self._schemas, str(schema.get("title") or "Error"), schema)

    def is_default_validation(self, response: Any) -> bool:
        """Tell whether this is the 422 that FastAPI documents by itself."""
        if not isinstance(response, dict) or response.get("description") != _DEFAULT_DESCRIPTION:
            return False
        schema = response.get("content", {}).get(_JSON, {}).get("schema")
        return bool(schema == _DEFAULT_REF)

    def move_validation(self, responses: dict[str, Any], status: str) -> None:
        """Put the renderer's body for a failed validation under its status, beside what the application has there."""
        del responses["422"]
        self._add(responses.setdefault(status, {"description": _DEFAULT_DESCRIPTION}), self.validation())

    def describe(self, status: str, response: dict[str, Any]) -> None:
        """Write out what `error_responses` left."""
        examples = {}
        for name, error in response.pop(_MARK).items():
            body = self._renderer.body(
                ErrorInfo(status=int(status), detail=error.get("detail"), code=error.get("code"))
            )
            examples[name] = {"value": json_value(body)}
        response["content"] = {self._renderer.media_type: {"schema": self.error(), "examples": examples}}

    def detail(self, responses: dict[str, Any], status: str, description: str) -> dict[str, Any]:
        """Document what FastAPI answers: `{"detail": ...}`, or the renderer's body when it is for all."""
        response: dict[str, Any] = responses.setdefault(status, {"description": description})
        if self._renderer.for_all:
            self._add(response, self.error())
        else:
            self._add(response, add_schema(self._schemas, str(DETAIL["title"]), DETAIL), _JSON)
        return response

    def _add(self, response: dict[str, Any], schema: dict[str, Any], media_type: str | None = None) -> None:
        """Say that the body may also be this."""
        if "$ref" in response:
            return  # a response that the application shares between operations
        media = response.setdefault("content", {}).setdefault(media_type or self._renderer.media_type, {})
        known = media.get("schema")
        if not known:
            media["schema"] = schema
        elif known.keys() == {"anyOf"}:
            known["anyOf"] += [schema] if schema not in known["anyOf"] else []
        elif known != schema:
            media["schema"] = {"anyOf": [known, schema]}
