"""Errors, logs, CORS and the stack, as an application writes them: read by the type checkers, never run."""

from datetime import timedelta
from typing import Any, assert_type

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import AnyHttpUrl, BaseModel

from fastapi_patterns import (
    AppException,
    EnvelopeRenderer,
    ErrorInfo,
    FunctionRenderer,
    RequestLogConfig,
    RequestLogMiddleware,
    configure_logging,
    install_cors,
    install_error_handlers,
    install_stack,
)
from fastapi_patterns.errors import (
    ErrorRenderer,
    ExceptionMap,
    app_exception_handler,
    error_page,
    validation_exception_handler,
)


class SoldOut(AppException):
    """An error of the application's own."""

    def __init__(self, left: int) -> None:
        super().__init__(409, {"left": left}, code="sold_out", headers={"Retry-After": "1"}, extra={"left": left})


class OwnRenderer:
    """A renderer fits by its shape alone."""

    media_type = "application/vnd.own+json"
    for_all = False

    def body(self, info: ErrorInfo) -> list[str]:
        return [str(info.detail)]

    def validation_schema(self) -> dict[str, Any]:
        return {"type": "array"}

    def error_schema(self) -> dict[str, Any]:
        return {"type": "array"}


def too_slow(error: TimeoutError) -> ErrorInfo:
    """Answer with what the exception knows."""
    return ErrorInfo(status=504, detail="Too slow", extra={"errno": error.errno})


class Failure(BaseModel):
    """A shape as a model."""

    errors: list[str]


def own_page(info: ErrorInfo) -> str:
    """A page of the application's own."""
    return f"<h1>{info.status}</h1>"


renderers: list[ErrorRenderer] = [
    EnvelopeRenderer(),
    OwnRenderer(),
    FunctionRenderer(lambda info: Failure(errors=[str(info.detail)]), Failure),
    FunctionRenderer(
        lambda info: [info.detail], {"type": "array"}, media_type="application/vnd.own+json", for_all=True
    ),
]
answers: ExceptionMap = {LookupError: (404, "Not found"), TimeoutError: too_slow, OSError: lambda error: None}
assert_type(SoldOut(1).info(), ErrorInfo)
assert_type(SoldOut(1).status_code, int)

app = FastAPI()
install_error_handlers(app, renderer=OwnRenderer(), exception_map=answers)
install_error_handlers(app, validation_status=400, html=error_page)
install_cors(app, allow_origins=[AnyHttpUrl("https://app.example"), "http://localhost:5173"], max_age_s=60)
app.add_middleware(RequestLogMiddleware, config=RequestLogConfig(trust_request_id=False))
install_stack(
    app,
    allow_origins=["https://app.example"],
    exception_map=answers,
    renderer=renderers[0],
    validation_status=400,
    html=own_page,
)
configure_logging("json", level=10)

AppException("400", "x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
AppException(400, "x", "code")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
configure_logging("xml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
install_error_handlers(app, exception_map={LookupError: 404})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
install_error_handlers(app, html=lambda info: info)  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]
FunctionRenderer(lambda info: info, "schema")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
RequestLogConfig(clock=timedelta)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.add_exception_handler(AppException, app_exception_handler)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.add_exception_handler(RequestValidationError, validation_exception_handler)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
