"""The exception handlers and the one call that registers them.

Every handler is `async def`: a plain one costs a threadpool hop. Starlette's HTTPException is left to FastAPI's own
handler unless the renderer is for all, so that adopting this room does not change what an application's clients read.
"""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.utils import is_body_allowed_for_status_code
from starlette.exceptions import HTTPException
from starlette.status import WS_1008_POLICY_VIOLATION

from fastapi_patterns.errors.exceptions import AppException
from fastapi_patterns.errors.groups import answer_only_leaf, call_handler
from fastapi_patterns.errors.mapping import mapped_handler
from fastapi_patterns.errors.openapi import document_errors
from fastapi_patterns.errors.renderers import EnvelopeRenderer, ErrorRenderer
from fastapi_patterns.errors.responses import Responder, render, vary_on_accept
from fastapi_patterns.errors.unhandled import UnhandledErrorHandler, answer_unhandled
from fastapi_patterns.errors.validation import close_reason, field_errors
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo, ExceptionMap

__all__ = ["app_exception_handler", "install_error_handlers", "validation_exception_handler"]


_OF_A_RENDERER = ("media_type", "for_all", "body", "validation_schema", "error_schema")


async def app_exception_handler(request: Request, exc: AppException) -> JSONResponse:
    """Answer an `AppException` with the default renderer: for `app.add_exception_handler` by hand."""
    return render(EnvelopeRenderer(), exc.info())


async def validation_exception_handler(request: Request, exc: RequestValidationError) -> JSONResponse:
    """Answer a validation error with 422 and the default renderer: for `app.add_exception_handler` by hand."""
    return render(EnvelopeRenderer(), ErrorInfo(status=422, errors=field_errors(exc.errors())))


def install_error_handlers(
    app: FastAPI,
    *,
    renderer: ErrorRenderer | None = None,
    exception_map: ExceptionMap | None = None,
    validation_status: int = 422,
    html: Callable[[ErrorInfo], str] | None = None,
) -> None:
    """Register the handlers on an application and make its OpenAPI document show what they return.

    Args:
        app: The application. Handlers of its own that it has already stay, and so do those that it registers later.
        renderer: Shapes the bodies; `EnvelopeRenderer()` by default.
        exception_map: More exceptions to answer, by class: an `ErrorInfo`, a pair `(status, public text)`, or a
            function that makes an `ErrorInfo` from the exception, or None to leave it unhandled. Their own text never
            reaches the client. Subclasses are included, the nearest class wins.
        validation_status: Status of a failed validation, 400 to 499; 400 where clients expect that.
        html: Makes a page of an `ErrorInfo`, such as `error_page`, for clients that prefer HTML to JSON, as browsers
            do; for HTTPException and the router's 404 and 405 too. No pages by default.

    Raises:
        ConfigurationError: A key of `exception_map` is not an exception class, or its answer is not an error, or the
            application has a handler of its own for it; `validation_status` is not a client error; `html` is no plain
            function.

    HTTP:
        `AppException`: its status, `{"error": detail}`. Validation errors: 422, `{"errors": [{"field", "message"}]}`,
        without the input; a WebSocket is closed with 1008 and the first of them as the reason. Mapped exceptions:
        their status, `{"error": public text}`. HTTPException and the router's 404 and 405 keep `{"detail": ...}`,
        unless the renderer is for all errors, as `ProblemRenderer` is. Anything else, a response that fails
        validation included: 500 that says nothing, and the exception goes on to the server; the application's own
        handler for `Exception` or 500 comes first. An exception group with one exception inside is answered as that
        one.
    """
    if not isinstance(validation_status, int) or not 400 <= validation_status <= 499:
        raise ConfigurationError(f"validation_status must be a client error, 400 to 499; got {validation_status!r}")
    chosen = EnvelopeRenderer() if renderer is None else renderer
    _check_renderer(chosen)
    respond = Responder(chosen, html)

    async def on_app_exception(request: Request, exc: Any) -> Response:
        return respond(request, exc.info())

    async def on_validation_error(request: Request, exc: Any) -> Response:
        return respond(request, ErrorInfo(status=validation_status, errors=field_errors(exc.errors())))

    handlers: dict[Any, Any] = {
        AppException: on_app_exception,
        RequestValidationError: on_validation_error,
        WebSocketRequestValidationError: _on_websocket_validation_error,
        ExceptionGroup: answer_only_leaf,
    }
    if chosen.for_all:
        handlers[HTTPException] = _http_exception_handler(respond, http_exception_handler)
    for cls, handler in handlers.items():
        if not is_answered(app, cls):
            app.add_exception_handler(cls, handler)
    if html is not None and not chosen.for_all:
        before = app.exception_handlers.get(HTTPException, http_exception_handler)
        app.add_exception_handler(HTTPException, _http_exception_handler(respond, before))
    for cls, answer in (exception_map or {}).items():
        if is_answered(app, cls):
            raise ConfigurationError(
                f"exception_map has an answer to {cls.__name__}, and the application has a handler of its own for it: "
                "remove one of the two"
            )
        app.add_exception_handler(cls, mapped_handler(cls, answer, respond))
    answer_unhandled(app, UnhandledErrorHandler(respond))
    document_errors(app, chosen, validation_status, lambda: not is_answered(app, RequestValidationError))


def is_answered(app: FastAPI, cls: type[Exception]) -> bool:
    """Whether the application has a handler of its own for this class: not FastAPI's, and not one from here."""
    handler = app.exception_handlers.get(cls)
    return handler is not None and _origin(handler) not in ("fastapi", "starlette", "fastapi_patterns")


def _check_renderer(renderer: ErrorRenderer) -> None:
    missing = [name for name in _OF_A_RENDERER if not hasattr(renderer, name)]
    if isinstance(renderer, type) or missing:
        raise ConfigurationError(
            "renderer must be an object such as ProblemRenderer() or FunctionRenderer(...); "
            f"got {renderer!r}" + (f", which has no {missing[0]!r}" if missing else "")
        )


def _origin(handler: Any) -> str:
    """The package that a handler comes from."""
    return str(getattr(handler, "__module__", "")).partition(".")[0]


def _http_exception_handler(respond: Responder, before: Callable[..., Any]) -> Callable[[Request, Any], Any]:
    """Answer FastAPI's own exceptions in the shape that is for all, or with pages in front of the answer so far."""

    async def on_http_exception(request: Request, exc: Any) -> Any:
        if not is_body_allowed_for_status_code(exc.status_code):
            return await http_exception_handler(request, exc)
        info = ErrorInfo(status=exc.status_code, detail=exc.detail, headers=exc.headers or {})
        if respond.renderer.for_all:
            return respond(request, info)
        page = respond.page(request, info)
        if page is not None:
            return page
        response = await call_handler(before, request, exc)
        return vary_on_accept(response) if isinstance(response, Response) else response

    return on_http_exception


async def _on_websocket_validation_error(websocket: WebSocket, exc: Any) -> None:
    await websocket.close(WS_1008_POLICY_VIOLATION, close_reason(exc.errors()))
