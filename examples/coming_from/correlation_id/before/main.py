"""In the manner of asgi-correlation-id's documentation: its middleware, its filter, and a logger beside it."""

import logging
import sys
from collections.abc import Awaitable, Callable

from asgi_correlation_id import CorrelationIdFilter, CorrelationIdMiddleware
from fastapi import FastAPI, Request, Response

handler = logging.StreamHandler(sys.stdout)
handler.addFilter(CorrelationIdFilter(uuid_length=32))
handler.setFormatter(logging.Formatter("%(levelname)s [%(correlation_id)s] %(name)s %(message)s"))
logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
logger = logging.getLogger("shop")

app = FastAPI()


@app.middleware("http")
async def log_requests(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Log each request."""
    response = await call_next(request)
    logger.info("%s %s %s", request.method, request.url.path, response.status_code)
    return response


app.add_middleware(CorrelationIdMiddleware)


@app.get("/ping")
async def ping() -> dict[str, bool]:
    """Log a line of its own."""
    logger.info("a line of the route")
    return {"ok": True}


@app.get("/broken")
async def broken() -> None:
    """Fail."""
    raise RuntimeError("broken")
