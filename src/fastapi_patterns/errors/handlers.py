"""The exception handlers and the one call that registers them.

Every handler is `async def`: a plain one costs a threadpool hop. Starlette's HTTPException is left to FastAPI's own
handler unless the renderer is for all, so that adopting this room does not change what an application's clients read.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.utils import is_body_allowed_for_status_code
from starlette.exceptions import HTTPException

from fastapi_patterns._compat import is_async_callable
from fastapi_patterns.context import get_request_id
from fastapi_patterns.errors.exceptions import AppException
from fastapi_patterns.errors.openapi import document_errors
from fastapi_patterns.errors.renderers import EnvelopeRenderer, ErrorRenderer
from fastapi_patterns.errors.validation import field_errors
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo, ExceptionMap

__all__ = ["app_exception_handler", "install_error_handlers", "render", "validation_exception_handler"]

_log = logging.getLogger("fastapi_patterns.errors")


class _TolerantJSONResponse(JSONResponse):
    """Writes what JSON has no word for: dates, UUIDs and models as text, NaN as null, a lone surrogate as `?`."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(jsonable_encoder(content))
        finite = json.loads(text, parse_constant=lambda name: None)
        return json.dumps(finite, ensure_ascii=False).encode("utf-8", "replace")


def render(renderer: ErrorRenderer, info: ErrorInfo) -> JSONResponse:
    """Build the response that a renderer describes, whatever values the application or a client put into it."""
    body, headers = renderer.body(replace(info, request_id=get_request_id())), dict(info.headers)
    try:
        return JSONResponse(body, info.status, headers, renderer.media_type)
    except (TypeError, ValueError):
        return _TolerantJSONResponse(body, info.status, headers, renderer.media_type)


async def app_exception_handler(request: Request, exc: AppException) -> JSONResponse:
    """Answer an `AppException` with the default renderer: for `app.add_exception_handler` by hand."""
    return render(EnvelopeRenderer(), exc.info())


async def validation_exception_handler(request: Request, exc: RequestValidationError) -> JSONResponse:
    """Answer a validation error with 422 and the default renderer: for `app.add_exception_handler` by hand."""
    return render(EnvelopeRenderer(), _validation_info(exc))


def install_error_handlers(
    app: FastAPI, *, renderer: ErrorRenderer | None = None, exception_map: ExceptionMap | None = None
) -> None:
    """Register the handlers on an application and make its OpenAPI document show what they return.

    Args:
        app: The application. Handlers that it has for other exceptions stay.
        renderer: Shapes the bodies; `EnvelopeRenderer()` by default.
        exception_map: More exceptions to answer, by class: an `ErrorInfo`, a pair `(status, public text)`, or a
            function that makes an `ErrorInfo` from the exception, or None to leave it unhandled. Their own text never
            reaches the client. Subclasses are included, the nearest class wins.

    Raises:
        ConfigurationError: A key of `exception_map` is not an exception class, or its answer is not an error.

    HTTP:
        `AppException`: its status, `{"error": detail}`. Validation errors: 422, `{"errors": [{"field", "message"}]}`,
        without the input. Mapped exceptions: their status, `{"error": public text}`. HTTPException and the router's 404
        and 405 keep `{"detail": ...}`, unless the renderer is for all errors, as `ProblemRenderer` is.
    """
    chosen = EnvelopeRenderer() if renderer is None else renderer

    async def on_app_exception(request: Request, exc: Any) -> JSONResponse:
        return render(chosen, exc.info())

    async def on_validation_error(request: Request, exc: Any) -> JSONResponse:
        return render(chosen, _validation_info(exc))

    async def on_http_exception(request: Request, exc: Any) -> Response:
        if not is_body_allowed_for_status_code(exc.status_code):
            return await http_exception_handler(request, exc)
        return render(chosen, ErrorInfo(status=exc.status_code, detail=exc.detail, headers=exc.headers or {}))

    if chosen.for_all:
        app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(AppException, on_app_exception)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    for cls, answer in (exception_map or {}).items():
        app.add_exception_handler(cls, _mapped_handler(chosen, _check(cls), answer))
    document_errors(app, chosen)


def _validation_info(exc: RequestValidationError) -> ErrorInfo:
    return ErrorInfo(status=422, errors=field_errors(exc.errors()))


def _check(cls: Any) -> type[Exception]:
    if not isinstance(cls, type) or not issubclass(cls, Exception) or cls is Exception:
        raise ConfigurationError(f"exception_map: keys are exception classes other than Exception itself; got {cls!r}")
    return cls


def _checked_answer(cls: type[Exception], answer: Any) -> ErrorInfo | Callable[[Any], ErrorInfo | None]:
    if isinstance(answer, tuple) and len(answer) == 2:
        answer = ErrorInfo(status=answer[0], detail=answer[1])
    if isinstance(answer, ErrorInfo):
        if not isinstance(answer.status, int) or not 400 <= answer.status <= 599:
            raise ConfigurationError(
                f"exception_map: {cls.__name__} must map to a status of 400 to 599; got {answer.status!r}"
            )
        return answer
    if not callable(answer) or is_async_callable(answer):
        raise ConfigurationError(
            f"exception_map: {cls.__name__} must map to an ErrorInfo, a pair (status, public text) "
            f"or a plain function; got {answer!r}"
        )
    return answer  # type: ignore[no-any-return]


def _mapped_handler(
    renderer: ErrorRenderer,
    cls: type[Exception],
    answer: ErrorInfo | tuple[int, str] | Callable[[Any], ErrorInfo | None],
) -> Callable[[Request, Any], Any]:
    fixed = _checked_answer(cls, answer)

    async def on_mapped(request: Request, exc: Any) -> JSONResponse:
        info = fixed if isinstance(fixed, ErrorInfo) else fixed(exc)
        if info is None:
            raise exc
        # The one place where the cause is recorded: the client only gets the public text.
        _log.log(
            logging.ERROR if info.status >= 500 else logging.INFO,
            "%s answered with %d",
            type(exc).__qualname__,
            info.status,
            exc_info=exc if info.status >= 500 else None,
            extra={"request_id": get_request_id()},
        )
        return render(renderer, info)

    return on_mapped
