"""Calls to other services through one shared client that lives as long as the application.

Needs the extra `http` (httpx2).
"""

from fastapi_patterns._optional import require

require("httpx2", extra="http", room="fastapi_patterns.http")

from fastapi_patterns.http.client import HttpClient  # noqa: E402 (the check above comes first)
from fastapi_patterns.http.failures import (  # noqa: E402
    CallDeadlineError,
    NotJSONError,
    ResponseTooLargeError,
    exception_map,
)

__all__ = ["CallDeadlineError", "HttpClient", "NotJSONError", "ResponseTooLargeError", "exception_map"]
