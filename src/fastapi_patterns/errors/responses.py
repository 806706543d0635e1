"""From an `ErrorInfo` to the response: the renderer's body, always writable as JSON."""

import json
from dataclasses import replace
from typing import Any

from fastapi.responses import JSONResponse

from fastapi_patterns.context import get_request_id
from fastapi_patterns.errors.json_values import json_value
from fastapi_patterns.errors.renderers import ErrorRenderer
from fastapi_patterns.exceptions import ErrorInfo

__all__ = ["render"]

# As Starlette's JSONResponse writes, but made once: making the encoder is a third of the cost.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class _ErrorResponse(JSONResponse):
    def render(self, content: Any) -> bytes:
        try:
            return _encode(content).encode()
        except (TypeError, ValueError, RecursionError):
            # NaN, dates, models, lone surrogates: the answer keeps its status and says what JSON has words for.
            return _encode(json_value(content)).encode("utf-8", "replace")


def render(renderer: ErrorRenderer, info: ErrorInfo) -> JSONResponse:
    """Build the response that a renderer describes, whatever values the application or a client put into it."""
    request_id = get_request_id()
    if request_id is not None:
        info = replace(info, request_id=request_id)
    return _ErrorResponse(renderer.body(info), info.status, info.headers, renderer.media_type)
