"""From an `ErrorInfo` to a body, and to the JSON schema of that body: both from one object, so they cannot differ."""

from typing import Any, Protocol

from fastapi_patterns.exceptions import ErrorInfo

__all__ = ["EnvelopeRenderer", "ErrorRenderer"]


class ErrorRenderer(Protocol):
    """Turns what a client may learn of an error into a body."""

    media_type: str

    def body(self, info: ErrorInfo) -> Any:
        """Return the JSON value of the answer."""
        ...

    def validation_schema(self) -> dict[str, Any]:
        """Return the JSON schema of `body` for a validation error; `#/components/schemas/ValidationError` is one."""
        ...


class EnvelopeRenderer:
    """The default bodies: `{"error": ...}`, and `{"errors": [{"field", "message"}]}` for validation errors."""

    media_type = "application/json"

    def body(self, info: ErrorInfo) -> dict[str, Any]:
        """Return `{"error": detail}` or `{"errors": [...]}`, with `code` and the extra members when there are any."""
        body: dict[str, Any] = {"errors": list(info.errors)} if info.errors else {"error": info.detail}
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
