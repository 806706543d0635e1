"""One id and one log line for a request, also where an application with a stack is mounted in another."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_patterns.middleware.request_log import RequestLogConfig, RequestLogMiddleware

__all__ = ["RequestLogOnceMiddleware"]

_MARK = "fastapi_patterns.request_log"


class RequestLogOnceMiddleware:
    """The request log, for requests that no stack outside this one logs already.

    An inner log would give the request a second id, and the client the one that the inner lines do not have.

    Args:
        app: The application inside.
        config: `RequestLogConfig()` by default.
    """

    def __init__(self, app: ASGIApp, config: RequestLogConfig | None = None) -> None:
        self.app = RequestLogMiddleware(app, config)
        self._unlogged = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one ASGI connection; what serves it is returned, not awaited, to cost no frame of its own."""
        if _MARK in scope:
            return self._unlogged(scope, receive, send)
        scope[_MARK] = True
        return self.app(scope, receive, send)
