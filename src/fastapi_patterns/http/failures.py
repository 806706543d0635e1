"""What goes wrong in a call to another service, and the answer to it."""

import json

import httpx2

from fastapi_patterns.exceptions import ErrorInfo, ExceptionMap

__all__ = ["CallDeadlineError", "NotJSONError", "ResponseTooLargeError", "exception_map"]

_TIMEOUT = ErrorInfo(status=504, detail="Another service did not answer in time")
_BUSY = ErrorInfo(status=503, detail="Too many calls to another service", headers={"Retry-After": "1"})
_FAILED = ErrorInfo(status=502, detail="Another service failed")


def exception_map() -> ExceptionMap:
    """Map httpx2's failures to answers, for `install_error_handlers` or `install_stack`.

    HTTP:
        A timeout, or a deadline that has passed: 504. No free connection in time: 503 with `Retry-After`. A network or
        protocol error, an upstream's 4xx or 5xx after `response.raise_for_status()`, and a body that is too large: 502;
        so is one that is no JSON, where the response came from an `HttpClient`. An upstream's 401 is never forwarded.
    """
    return {httpx2.PoolTimeout: _BUSY, httpx2.TimeoutException: _TIMEOUT, httpx2.HTTPError: _FAILED}


class CallDeadlineError(httpx2.TimeoutException):
    """The call with its retries and its body took longer than `deadline_s`; answered with 504."""


class ResponseTooLargeError(httpx2.DecodingError):
    """The body is longer than `max_response_bytes`; answered with 502."""


class NotJSONError(httpx2.DecodingError, json.JSONDecodeError):
    """A body that should be JSON and is not: httpx2's failure, and the error that `response.json()` always raised."""

    def __init__(self, msg: str, doc: str, pos: int) -> None:
        json.JSONDecodeError.__init__(self, msg, doc, pos)
