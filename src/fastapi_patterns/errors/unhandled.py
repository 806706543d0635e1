"""The answer to what nobody handled: 500, saying nothing."""

import logging
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from fastapi_patterns._scrub import scrub
from fastapi_patterns.exceptions import ErrorInfo

__all__ = ["UnhandledErrorHandler", "answer_unhandled"]

_log = logging.getLogger("fastapi_patterns.errors")
_INFO = ErrorInfo(status=500, detail="Internal Server Error")


class UnhandledErrorHandler:
    """A handler for `Exception`, which Starlette runs outermost, and raises the exception again after it.

    It logs nothing of the exception: who catches it, the server or the catch-all of the stack, does. The class tells
    this handler from one of the application's own.

    Args:
        respond: Makes the response from an `ErrorInfo`.
    """

    def __init__(self, respond: Callable[[Request, ErrorInfo], Response]) -> None:
        self._respond = respond

    async def __call__(self, request: Request, exc: Exception) -> Response:
        """Answer 500 in the shape that is installed."""
        try:
            response = self._respond(request, _INFO)
        except Exception as second:
            # The last resort must not depend on the application's code: a renderer may be what failed.
            _log.error("The renderer failed on a 500: %s", type(second).__qualname__, exc_info=scrub(second))
            response = JSONResponse({"error": _INFO.detail}, _INFO.status)
        if request.scope.get("http_version", "").startswith("1"):
            # The server closes the connection on the exception that follows; unwarned, the client's next request on it
            # would fail.
            response.headers["connection"] = "close"
        return response


def answer_unhandled(app: FastAPI, handler: UnhandledErrorHandler) -> None:
    """Register the handler unless the application has its own for `Exception` or 500; one that comes later wins."""
    handlers: dict[Any, Any] = app.exception_handlers
    if 500 not in handlers and isinstance(handlers.get(Exception, handler), UnhandledErrorHandler):
        handlers[Exception] = handler
