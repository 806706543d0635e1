"""Pure ASGI middleware: the request log, the answer to unhandled errors, CORS that refuses dangerous settings.

Needs no extra.
"""

from fastapi_patterns.middleware.catch_all import CatchAllMiddleware
from fastapi_patterns.middleware.cors import install_cors
from fastapi_patterns.middleware.request_log import RequestLogConfig, RequestLogMiddleware

__all__ = ["CatchAllMiddleware", "RequestLogConfig", "RequestLogMiddleware", "install_cors"]
