"""From an `ErrorInfo` to the response: the renderer's body, always writable as JSON, or a page for a browser."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.requests import HTTPConnection

from fastapi_patterns._compat import is_async_callable
from fastapi_patterns._scrub import scrub
from fastapi_patterns.context import get_request_id
from fastapi_patterns.errors.json_values import json_value
from fastapi_patterns.errors.negotiation import prefers_html
from fastapi_patterns.errors.renderers import ErrorRenderer
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo

try:
    import orjson
except ImportError:  # the extra `fast` is not installed
    orjson = None  # type: ignore[assignment, unused-ignore]

__all__ = ["Responder", "render", "vary_on_accept"]

_log = logging.getLogger("fastapi_patterns.errors")

_AnyResponse = TypeVar("_AnyResponse", bound=Response)

# As Starlette's JSONResponse writes, but made once: making the encoder is a third of the cost.
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

# A page of the application's text: nothing in it runs and nothing is fetched.
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_OF_THE_JSON = {"content-type", "content-length"}


def _encode(content: Any) -> bytes:
    if orjson is not None:
        # What orjson writes by itself and `json` does not goes the same way with both.
        own = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
        try:
            return orjson.dumps(content, option=own)
        except TypeError:  # integers over 64 bits, keys that are no text, which `json` can write, and the unknown
            pass
    return _encoder.encode(content).encode()


class _ErrorResponse(JSONResponse):
    def render(self, content: Any) -> bytes:
        try:
            return _encode(content)
        except (TypeError, ValueError, RecursionError):
            # NaN, dates, models, lone surrogates: the answer keeps its status and says what JSON has words for.
            return json.dumps(json_value(content), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        if headers:
            super().init_headers(headers)
        else:  # nearly every error: nothing to merge
            self.raw_headers = [
                (b"content-length", b"%d" % len(self.body)),
                (b"content-type", str(self.media_type).encode("latin-1")),
            ]


def render(renderer: ErrorRenderer, info: ErrorInfo) -> JSONResponse:
    """Build the response that a renderer describes, whatever values the application or a client put into it."""
    info = _with_id(info)
    return _ErrorResponse(renderer.body(info), info.status, info.headers, renderer.media_type)


class Responder:
    """Answers with the renderer's body or, where the application has pages and the client prefers one, with a page.

    Args:
        renderer: Makes the JSON.
        html: Makes the page, if there are pages.

    Raises:
        ConfigurationError: `html` is no plain function.
    """

    def __init__(self, renderer: ErrorRenderer, html: Callable[[ErrorInfo], str] | None = None) -> None:
        if html is not None and (not callable(html) or is_async_callable(html)):
            raise ConfigurationError(
                f"html must be a plain function from ErrorInfo to text, such as error_page; got {html!r}"
            )
        self.renderer = renderer
        self.html = html

    def __call__(self, request: HTTPConnection, info: ErrorInfo) -> Response:
        """Make the response."""
        if self.html is None:
            return render(self.renderer, info)
        return self.page(request, info) or vary_on_accept(render(self.renderer, info))

    def page(self, request: HTTPConnection, info: ErrorInfo) -> Response | None:
        """Make the page, or None where the client wants JSON or the page cannot be made."""
        accept = ",".join(request.headers.getlist("accept"))
        if self.html is None or not prefers_html(accept, self.renderer.media_type):
            return None
        info = _with_id(info)
        try:
            content = self.html(info).encode("utf-8", "replace")
        except Exception as error:  # an application's template must not turn a 404 into a 500
            _log.error("The HTML page of a %d failed: %s", info.status, type(error).__qualname__, exc_info=scrub(error))
            return None
        headers = {name: value for name, value in info.headers.items() if name.lower() not in _OF_THE_JSON}
        response = HTMLResponse(content, info.status, headers)
        response.headers.setdefault("content-security-policy", _PAGE_POLICY)
        return vary_on_accept(response)


def vary_on_accept(response: _AnyResponse) -> _AnyResponse:
    """Tell caches that there is another answer for another Accept header (RFC 9110 section 12.5.5)."""
    known = [name.strip().lower() for name in response.headers.get("vary", "").split(",")]
    if "accept" not in known and "*" not in known:
        response.headers.add_vary_header("Accept")
    return response


def _with_id(info: ErrorInfo) -> ErrorInfo:
    request_id = get_request_id()
    return info if request_id is None else replace(info, request_id=request_id)
