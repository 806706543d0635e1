"""One line a request, as text or JSON, with the request's id on every line."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from fastapi import FastAPI

from fastapi_patterns import configure_logging, install_stack
from fastapi_patterns.context import get_request_id

log = logging.getLogger("shop")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Configure logging after uvicorn has configured its own."""
    form: Literal["text", "json"] = "json" if os.environ.get("LOG_FORMAT") == "json" else "text"
    configure_logging(form)
    yield


app = FastAPI(lifespan=lifespan)
install_stack(app)


@app.get("/items/{item_id}")
async def item(item_id: int) -> dict[str, str | int | None]:
    """Log something of one's own: the line has the request's id by itself."""
    log.info("looking for item %d", item_id)
    return {"id": item_id, "request_id": get_request_id()}
