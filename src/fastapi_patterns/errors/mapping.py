"""Handlers for exceptions of others: by class, with a public text; their own text stays in the log."""

import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import PurePath
from traceback import walk_tb
from types import FrameType
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from fastapi_patterns._compat import is_async_callable
from fastapi_patterns._scrub import scrub
from fastapi_patterns.context import ERROR_TYPE, get_request_id
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo

__all__ = ["Handler", "mapped_handler"]

_log = logging.getLogger("fastapi_patterns.errors")

Handler = Callable[[Request, Any], Awaitable[Response]]
"""An exception handler as this room writes them."""


def mapped_handler(cls: Any, answer: Any, respond: Callable[[Request, ErrorInfo], Response]) -> Handler:
    """Make the handler of one entry of an `exception_map`.

    Args:
        cls: The key: an exception class.
        answer: An `ErrorInfo`, a pair `(status, public text)`, or a function of the exception.
        respond: Makes the response.

    Raises:
        ConfigurationError: The entry cannot work.
    """
    fixed = _checked_answer(_checked_class(cls), answer)

    async def on_mapped(request: Request, exc: Any) -> Response:
        info = fixed if isinstance(fixed, ErrorInfo) else fixed(exc)
        if info is None:
            raise exc
        request.scope.setdefault("state", {})[ERROR_TYPE] = type(exc).__qualname__  # for the request log
        _log_cause(exc, info.status)
        return respond(request, info)

    return on_mapped


def _log_cause(exc: Exception, status: int) -> None:
    # The one place where the cause is recorded: the client only gets the public text.
    extra = {"request_id": get_request_id()}
    if status >= 500:
        _log.error("%s answered with %d", type(exc).__qualname__, status, exc_info=scrub(exc), extra=extra)
    elif _log.isEnabledFor(logging.INFO):
        _log.info("%s answered with %d, raised at %s", type(exc).__qualname__, status, _raised_at(exc), extra=extra)


def _raised_at(exc: Exception) -> str:
    """Name the application's innermost line, or a library's where it has none: without the exception's text."""
    lines = list(walk_tb(exc.__traceback__))
    if not lines:
        return "an unknown place"
    frame, number = next((line for line in reversed(lines) if not _is_a_librarys(line[0])), lines[-1])
    return f"{PurePath(frame.f_code.co_filename).name}:{number} in {frame.f_code.co_name}"


def _is_a_librarys(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    installed = "site-packages" in frame.f_code.co_filename
    return installed or package == "fastapi_patterns" or package in sys.stdlib_module_names


def _checked_class(cls: Any) -> type[Exception]:
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
    if not callable(answer) or isinstance(answer, type) or is_async_callable(answer):
        raise ConfigurationError(
            f"exception_map: {cls.__name__} must map to an ErrorInfo, a pair (status, public text) "
            f"or a plain function; got {answer!r}"
        )
    return answer  # type: ignore[no-any-return]
