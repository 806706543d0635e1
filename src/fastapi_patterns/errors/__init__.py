"""Error answers: one exception to raise, handlers that leak nothing, and an OpenAPI page that tells the truth.

Needs no extra.
"""

from fastapi_patterns.errors.coded import (
    BadRequestError,
    CodedError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    TooManyRequestsError,
    UnavailableError,
)
from fastapi_patterns.errors.exceptions import AppException
from fastapi_patterns.errors.function_renderer import FunctionRenderer
from fastapi_patterns.errors.handlers import (
    app_exception_handler,
    install_error_handlers,
    validation_exception_handler,
)
from fastapi_patterns.errors.openapi import error_responses
from fastapi_patterns.errors.pages import error_page
from fastapi_patterns.errors.renderers import EnvelopeRenderer, ErrorRenderer, ProblemRenderer
from fastapi_patterns.exceptions import ErrorInfo, ExceptionMap

__all__ = [
    "AppException",
    "BadRequestError",
    "CodedError",
    "ConflictError",
    "EnvelopeRenderer",
    "ErrorInfo",
    "ErrorRenderer",
    "ExceptionMap",
    "FunctionRenderer",
    "NotFoundError",
    "PermissionDeniedError",
    "ProblemRenderer",
    "TooManyRequestsError",
    "UnavailableError",
    "app_exception_handler",
    "error_page",
    "error_responses",
    "install_error_handlers",
    "validation_exception_handler",
]
