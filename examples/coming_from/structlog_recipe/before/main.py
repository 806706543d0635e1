"""The recipe that goes around for structlog: bind an id, time the request, log one event."""

import logging
import time
import uuid
from collections.abc import Awaitable, Callable

import structlog
from fastapi import FastAPI, Request, Response

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
)
logger = structlog.get_logger("shop")

app = FastAPI()


@app.middleware("http")
async def log_requests(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Log each request with an id."""
    structlog.contextvars.clear_contextvars()
    request_id = request.headers.get("X-Request-ID") or uuid.uuid4().hex
    structlog.contextvars.bind_contextvars(request_id=request_id)
    started = time.perf_counter()
    try:
        response = await call_next(request)
    except Exception:
        logger.exception("unhandled")
        raise
    took = time.perf_counter() - started
    logger.info("request", method=request.method, path=request.url.path, status=response.status_code, duration=took)
    response.headers["X-Request-ID"] = request_id
    return response


@app.get("/ping")
async def ping() -> dict[str, bool]:
    """Log a line of its own."""
    logger.info("a line of the route")
    return {"ok": True}


@app.get("/broken")
async def broken() -> None:
    """Fail."""
    raise RuntimeError("broken")
