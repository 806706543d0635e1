"""From an `ErrorInfo` to a body, and to the JSON schema of that body: both from one object, so they cannot differ."""

import re
from typing import Any, Protocol
from uuid import UUID

from fastapi_patterns.errors.exceptions import phrase
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo

__all__ = ["EnvelopeRenderer", "ErrorRenderer", "ProblemRenderer"]

_UUID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ErrorRenderer(Protocol):
    """Turns what a client may learn of an error into a body.

    Attributes:
        media_type: The body's media type.
        for_all: Whether it also shapes what FastAPI answers itself as `{"detail": ...}`: HTTPException and the router's
            404 and 405.
    """

    media_type: str
    for_all: bool

    def body(self, info: ErrorInfo) -> Any:
        """Return the JSON value of the answer."""
        ...

    def validation_schema(self) -> dict[str, Any]:
        """Return the JSON schema of `body` for a validation error.

        `#/components/schemas/ValidationError` is one failed field, `{"field", "message"}`.
        """
        ...

    def error_schema(self) -> dict[str, Any]:
        """Return the JSON schema of `body` for any other error."""
        ...


class EnvelopeRenderer:
    """The default bodies: `{"error": ...}`, and `{"errors": [{"field", "message"}]}` for validation errors."""

    media_type = "application/json"
    for_all = False

    def body(self, info: ErrorInfo) -> dict[str, Any]:
        """Return `{"error": detail}` or `{"errors": [...]}`, with `code` and the extra members when there are any."""
        body: dict[str, Any] = {"errors": _fields(info)} if info.errors else {"error": info.detail}
        if info.code is not None:
            body["code"] = info.code
        return {**info.extra, **body}

    def validation_schema(self) -> dict[str, Any]:
        """Return the schema of `{"errors": [...]}`."""
        return {
            "title": "HTTPValidationError",
            "type": "object",
            "required": ["errors"],
            "properties": {
                "errors": {
                    "title": "Errors",
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/ValidationError"},
                }
            },
        }

    def error_schema(self) -> dict[str, Any]:
        """Return the schema of `{"error": ...}`."""
        return {
            "title": "Error",
            "type": "object",
            "required": ["error"],
            "properties": {"error": {"title": "Error"}, "code": {"title": "Code", "type": "string"}},
        }


class ProblemRenderer:
    """Problem details (RFC 9457): `application/problem+json` for every error, FastAPI's own included.

    Args:
        type_base: What a code is joined to for the `type` member, such as `"https://shop.example/problems/"`. Without
            it, and for errors without a code, the type is `about:blank` (RFC 9457 section 4.2.1).

    Raises:
        ConfigurationError: `type_base` is not the beginning of a URI.
    """

    media_type = "application/problem+json"
    for_all = True

    def __init__(self, type_base: str | None = None) -> None:
        if type_base is not None and not re.match(r"[a-z][a-z0-9+.-]*:.", type_base):
            raise ConfigurationError(f"type_base must be the beginning of a URI; got {type_base!r}")
        self._type_base = type_base

    def body(self, info: ErrorInfo) -> dict[str, Any]:
        """Return `type`, `title`, `status`, `detail`, `instance`, and the extension members.

        `instance` is the request's id as a `urn:uuid:`, never the URL, which may hold a secret.
        """
        own: dict[str, Any] = {
            "type": f"{self._type_base}{info.code}" if self._type_base and info.code else "about:blank",
            "title": phrase(info.status),
            "status": info.status,
        }
        detail = "The request is not valid" if info.errors else info.detail
        if detail is not None:
            # The member is a string (RFC 9457 section 3.1.4); a value of another kind has a member of its own.
            own["detail" if isinstance(detail, str) else "details"] = detail
        if info.request_id and _UUID.fullmatch(info.request_id):
            own["instance"] = UUID(info.request_id).urn
        if info.code is not None:
            own["code"] = info.code
        if info.errors:
            own["errors"] = [dict(error) for error in info.errors]
        return {**info.extra, **own}

    def validation_schema(self) -> dict[str, Any]:
        """Return the schema of a problem with `errors`."""
        schema = self.error_schema()
        schema["title"] = "HTTPValidationError"
        schema["required"] = [*schema["required"], "errors"]
        schema["properties"]["errors"] = {
            "title": "Errors",
            "type": "array",
            "items": {
                "allOf": [
                    {"$ref": "#/components/schemas/ValidationError"},
                    {"type": "object", "properties": {"pointer": {"title": "Pointer", "type": "string"}}},
                ]
            },
        }
        return schema

    def error_schema(self) -> dict[str, Any]:
        """Return the schema of a problem (RFC 9457 section 3.1)."""
        text = {"type": "string"}
        return {
            "title": "Problem",
            "type": "object",
            "required": ["type", "title", "status"],
            "properties": {
                "type": {"title": "Type", "type": "string", "format": "uri-reference"},
                "title": {"title": "Title", **text},
                "status": {"title": "Status", "type": "integer"},
                "detail": {"title": "Detail", **text},
                "instance": {"title": "Instance", "type": "string", "format": "uri-reference"},
                "code": {"title": "Code", **text},
            },
        }


def _fields(info: ErrorInfo) -> list[dict[str, str]]:
    return [{"field": error["field"], "message": error["message"]} for error in info.errors]
