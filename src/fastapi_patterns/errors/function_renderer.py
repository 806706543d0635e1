"""A shape of the application's own, from one function and one schema."""

import json
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel

from fastapi_patterns._compat import is_async_callable
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo

__all__ = ["FunctionRenderer"]

# type "/" subtype (RFC 6838 section 4.2); what JSON is written under has no parameters.
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")


class FunctionRenderer:
    """Shapes every body with a function: `FunctionRenderer(lambda info: {"errors": [info.detail]}, Failure)`.

    Args:
        body: Makes the body of an `ErrorInfo`: a JSON value, or a pydantic model.
        schema: What `body` returns: a pydantic model, or a JSON schema, which may define more in `$defs`.
        media_type: The body's media type.
        for_all: Whether HTTPException and the router's 404 and 405 have this shape too; they keep `{"detail": ...}` by
            default, because that is what an application's clients read so far.

    Raises:
        ConfigurationError: `body` is no plain function, `schema` is no schema, or `media_type` is none.
    """

    def __init__(
        self,
        body: Callable[[ErrorInfo], Any],
        schema: type[BaseModel] | Mapping[str, Any],
        *,
        media_type: str = "application/json",
        for_all: bool = False,
    ) -> None:
        if not callable(body) or is_async_callable(body):
            raise ConfigurationError(f"body must be a plain function from ErrorInfo to a JSON value; got {body!r}")
        if not _MEDIA_TYPE.fullmatch(media_type):
            raise ConfigurationError(f"media_type must read like application/json, in lower case; got {media_type!r}")
        self.media_type = media_type
        self.for_all = for_all
        self._make = body
        self._schema = _json_schema(schema)

    def body(self, info: ErrorInfo) -> Any:
        """Return what the function makes of the error, a model as JSON."""
        made = self._make(info)
        return made.model_dump(mode="json", by_alias=True) if isinstance(made, BaseModel) else made

    def validation_schema(self) -> dict[str, Any]:
        """Return the one schema."""
        return deepcopy(self._schema)

    def error_schema(self) -> dict[str, Any]:
        """Return the one schema."""
        return deepcopy(self._schema)


def _json_schema(schema: Any) -> dict[str, Any]:
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        try:
            return schema.model_json_schema(mode="serialization")
        except Exception as error:
            raise ConfigurationError(f"schema: pydantic can write none for {schema.__name__}: {error}") from error
    if not isinstance(schema, Mapping):
        raise ConfigurationError(f"schema must be a pydantic model or a JSON schema as a dict; got {schema!r}")
    try:
        text = json.dumps(dict(schema), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"schema must hold nothing but JSON values: {error}") from error
    copied: dict[str, Any] = json.loads(text)
    defined = copied.get("$defs", {})
    missing = sorted(set(re.findall(r'"\$ref": "#/\$defs/([^"]+)"', text)) - set(defined))
    if missing:
        raise ConfigurationError(f"schema refers to {', '.join(missing)}, which its $defs do not define")
    return copied
