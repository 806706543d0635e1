"""Answers what nobody handled with a 500 that says nothing, inside the request log and CORS.

Starlette's own answer to an unhandled error is sent outside every other middleware: without the request id and
without CORS headers. The exception is raised again, so that the server, tracing and test clients still see it.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from fastapi_patterns._compat import is_async_callable
from fastapi_patterns._scrub import scrub
from fastapi_patterns.context import ERROR_TYPE, response_started

__all__ = ["CatchAllMiddleware", "ResponseMarkMiddleware", "log_once", "mark_logged", "was_logged"]

_log = logging.getLogger("fastapi_patterns.errors")
_LOGGED = "__fastapi_patterns_logged__"
# In the scope: the errors that were logged, and the one that came after the whole answer.
_NOTED, _LATE = "fastapi_patterns.logged", "fastapi_patterns.late_error"

ErrorResponse = Callable[[Request, Exception], Awaitable[Response]]


class CatchAllMiddleware:
    """Logs an unhandled exception once, answers 500 if nothing was sent yet, and raises it again.

    An application's own handler for `Exception` or 500 makes the answer where there is one. With `debug=True` the
    middleware steps aside for Starlette's debug page. An error after the whole answer was sent, a background task's for
    example, is logged and goes no further.

    Args:
        app: The application inside.
        respond: Makes the answer.
    """

    def __init__(self, app: ASGIApp, respond: ErrorResponse) -> None:
        self.app = app
        self.respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = False

        async def watched(message: Message) -> None:
            nonlocal sent
            sent = sent or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            application = scope.get("app")
            if getattr(application, "debug", False):
                raise
            _note(scope, error)
            # An application's own handler is called even when it is too late to answer, as Starlette does: it may
            # report the error.
            response = await self._answer(application, Request(scope, receive), error)
            if scope.get(_LATE) is error:
                # A background task failed, and the client has its whole answer: raised again, the error would make the
                # server drop the connection, and with it the client's next request.
                return
            if not sent:
                await self._send(response, scope, receive, send)
            raise

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """There is no answer to send: the server closes the socket, with 1011 after the handshake."""
        try:
            await self.app(scope, receive, send)
        except WebSocketDisconnect:  # the client has gone, which is no error
            raise
        except Exception as error:
            _note(scope, error)
            raise

    async def _send(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("http_version", "").startswith("1"):
            # The server closes the connection on the exception that follows; unwarned, the client's next request on
            # it would fail.
            response.headers["connection"] = "close"
        await response(scope, receive, send)

    async def _answer(self, application: Any, request: Request, error: Exception) -> Response:
        handlers = getattr(application, "exception_handlers", {})
        own = handlers.get(Exception) or handlers.get(500)
        if own is None:
            return await self.respond(request, error)
        try:
            if is_async_callable(own):
                return await own(request, error)  # type: ignore[no-any-return]
            return await run_in_threadpool(own, request, error)
        except Exception as second:
            # The last resort must not depend on the application's code: this would be a 500 without id and CORS.
            _log.error("The handler of unhandled errors failed: %s", type(second).__qualname__, exc_info=scrub(second))
            return await self.respond(request, error)


class ResponseMarkMiddleware:
    """Sets `context.response_started` when the routes begin to answer, and marks what fails after; the innermost layer.

    Middleware of the application's own may hold a response back; what matters is that the route has returned and its
    session has committed.

    Args:
        app: The application inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = response_started(scope)
        complete = False

        async def watched(message: Message) -> None:
            nonlocal complete
            if message["type"] == "http.response.start":
                started.set()
            else:
                complete = not message.get("more_body", False)
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            # What a mounted application's catch-all has answered was complete too, and is no background task's.
            if complete and not any(each is error for each in scope.get(_NOTED, ())):
                scope[_LATE] = error
            raise


class _LoggedOnce(logging.Filter):
    """Drops the server's copy of a traceback that was logged with the request id."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and was_logged(record.exc_info[1]))


_LOGGED_ONCE = _LoggedOnce()


def log_once() -> None:
    """Keep the server from logging an error a second time: for uvicorn and hypercorn, with any logging set-up.

    Theirs would have no request id, and it would show the values that exceptions of SQLAlchemy and pydantic carry.
    """
    for name in ("uvicorn.error", "hypercorn.error"):
        logging.getLogger(name).addFilter(_LOGGED_ONCE)  # adding the same filter again changes nothing


def mark_logged(error: BaseException) -> None:
    """Remember on the exception itself that it has been logged, so that the server does not log it again."""
    error.__dict__[_LOGGED] = True


def was_logged(error: BaseException | None) -> bool:
    """Tell whether `mark_logged` saw this exception."""
    return _LOGGED in getattr(error, "__dict__", ())


def _note(scope: Scope, error: Exception) -> None:
    """Log an error once a request, which a mounted application's catch-all may have done, and name it for the log."""
    scope.setdefault("state", {})[ERROR_TYPE] = type(error).__qualname__
    logged = scope.setdefault(_NOTED, [])
    if not any(each is error for each in logged):
        logged.append(error)
        _log.error("Unhandled %s", type(error).__qualname__, exc_info=scrub(error))
        mark_logged(error)
