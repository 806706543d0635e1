"""What people would install instead, each set up as its documentation says."""

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request

__all__ = ["PEERS", "fastapi_problem", "usual_logger", "usual_stack"]


def usual_logger(app: FastAPI, logger: logging.Logger) -> FastAPI:
    """The logger that most projects paste: `@app.middleware("http")`, with an id and a line of JSON."""
    import json

    @app.middleware("http")
    async def log_requests(request: Request, call_next: Callable[[Request], Any]) -> Any:
        request_id = request.headers.get("X-Request-ID") or str(uuid.uuid4())
        started = time.perf_counter()
        response = await call_next(request)
        fields = {
            "method": request.method,
            "path": request.url.path,
            "status": response.status_code,
            "duration": time.perf_counter() - started,
            "request_id": request_id,
        }
        logger.info(json.dumps(fields))
        response.headers["X-Request-ID"] = request_id
        return response

    return app


def usual_stack(app: FastAPI, logger: logging.Logger) -> FastAPI:
    """What most projects stack: the logger, a catch-all in the same style, and Starlette's CORS."""
    from fastapi.middleware.cors import CORSMiddleware
    from fastapi.responses import JSONResponse

    @app.middleware("http")
    async def catch_all(request: Request, call_next: Callable[[Request], Any]) -> Any:
        try:
            return await call_next(request)
        except Exception:
            logger.exception("unhandled")
            return JSONResponse({"detail": "Internal Server Error"}, 500)

    usual_logger(app, logger)
    app.add_middleware(CORSMiddleware, allow_origins=["https://app.example"], allow_methods=["*"], allow_headers=["*"])
    return app


def correlation_id(app: FastAPI) -> FastAPI:
    """asgi-correlation-id: the id alone, no line."""
    from asgi_correlation_id import CorrelationIdMiddleware

    app.add_middleware(CorrelationIdMiddleware)
    return app


def starlette_context(app: FastAPI) -> FastAPI:
    """starlette-context: the id in a context, no line."""
    from starlette_context import plugins
    from starlette_context.middleware import RawContextMiddleware

    app.add_middleware(RawContextMiddleware, plugins=(plugins.RequestIdPlugin(),))
    return app


class _StructlogMiddleware:
    """structlog's recipe as pure ASGI: bind the id, log one event with the outcome."""

    def __init__(self, app: Any, logger: Any) -> None:
        self.app = app
        self.logger = logger

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        import structlog

        structlog.contextvars.clear_contextvars()
        request_id = str(uuid.uuid4())
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started, status = time.perf_counter(), 500

        async def watched(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            self.logger.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                duration=time.perf_counter() - started,
                client=scope["client"][0],
            )


def structlog_recipe(app: FastAPI) -> FastAPI:
    """structlog with orjson and a bytes logger, the fast set-up of its performance page."""
    import io

    import orjson
    import structlog

    class Sink(io.BytesIO):
        def write(self, text: Any) -> int:
            self.seek(0)
            return super().write(text)

    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(Sink()),
    )
    app.add_middleware(_StructlogMiddleware, logger=structlog.get_logger())
    return app


def fastapi_problem(app: FastAPI) -> FastAPI:
    """fastapi-problem: problem details for every error."""
    from fastapi_problem.handler import add_exception_handler, new_exception_handler

    add_exception_handler(app, new_exception_handler())
    return app


PEERS: dict[str, Callable[[FastAPI], FastAPI]] = {
    "asgi-correlation-id (the id alone)": correlation_id,
    "starlette-context (the id alone)": starlette_context,
    "structlog, pure ASGI": structlog_recipe,
}
