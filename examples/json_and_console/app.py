"""JSON logs in production, colours at home: one variable of the environment decides."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from fastapi_patterns import RequestLogConfig, configure_logging, install_stack
from fastapi_patterns.errors import ConflictError, NotFoundError

log = logging.getLogger("shop")
stock = {"tea": 3, "coffee": 0}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Configure logging here: by now uvicorn has configured its own, and this call has the last word."""
    configure_logging("console" if os.environ.get("LOG_FORMAT") == "console" else "json")
    yield


def in_stock(name: str) -> int:
    """Raise what nobody handles, for a name that is no tea and no coffee."""
    return stock[name]


def make_app(request_log: RequestLogConfig | None = None) -> FastAPI:
    """Make the application; a test passes a log with a clock of its own."""
    app = FastAPI(lifespan=lifespan)
    install_stack(app, request_log=request_log)

    @app.get("/stock/{name}")
    async def show(name: str) -> dict[str, int]:
        if name == "sugar":
            raise NotFoundError("We have no sugar")
        return {"left": in_stock(name)}

    @app.post("/orders", status_code=201)
    async def order(name: str) -> dict[str, int]:
        left = in_stock(name)
        if left == 0:
            log.warning("%s is sold out", name)
            raise ConflictError("Sold out")
        log.info("sold one %s, %d left", name, left)
        return {"left": left}

    @app.get("/report")
    async def report() -> dict[str, str]:
        return {"report": "a long one"}

    return app


app = make_app()
