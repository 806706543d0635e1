"""Calls to other services through one shared client that lives as long as the application.

Needs the extra `http` (httpx2).
"""

from fastapi_patterns._optional import require

require("httpx2", extra="http", room="fastapi_patterns.http")

from fastapi_patterns.http.client import HttpClient, exception_map  # noqa: E402 (the check above comes first)

__all__ = ["HttpClient", "exception_map"]
