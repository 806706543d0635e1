"""loguru writes everything: its own messages, the request lines, and what goes through `logging`."""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from loguru import logger

from fastapi_patterns import RequestLogConfig, install_stack
from fastapi_patterns.context import current_request

if TYPE_CHECKING:
    from loguru import Record


def add_request(record: "Record") -> None:
    """A patcher: put the ids of the request at hand on a message."""
    request = current_request()
    if request is not None:
        record["extra"].setdefault("request_id", request.request_id)
        if request.trace_id is not None:
            record["extra"].setdefault("trace_id", request.trace_id)


def to_loguru(level: int, text: str, fields: dict[str, Any]) -> None:
    """A sink: write a request line as a message with fields."""
    logger.bind(**fields).log(logging.getLevelName(level), text)


KEY = "correct horse"  # what a traceback must not show


class ToLoguru(logging.Handler):
    """Hands the records of libraries to loguru, this one's tracebacks among them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on."""
        logger.bind(logger=record.name).opt(exception=record.exc_info).log(record.levelname, record.getMessage())


def no_sockets(record: logging.LogRecord) -> bool:
    """A filter: drop uvicorn's line for each websocket, which shows the whole query."""
    return '"WebSocket %s"' not in str(record.msg)


def configure_loguru() -> None:
    """Send loguru's messages and `logging`'s records to JSON on standard error."""
    logger.remove()
    # diagnose=False: loguru prints the values of variables in tracebacks otherwise, passwords included.
    logger.add(sys.stderr, serialize=True, backtrace=False, diagnose=False)
    logger.configure(patcher=add_request)
    root = logging.getLogger()
    root.handlers[:] = [ToLoguru()]
    root.setLevel(logging.INFO)
    for name in ("httpx", "httpx2"):  # their INFO lines show whole URLs
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True  # and so do these
    logging.getLogger("uvicorn.error").addFilter(no_sockets)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Configure after uvicorn has configured its own; start it with `log_config=None`."""
    configure_loguru()
    yield


app = FastAPI(lifespan=lifespan)
install_stack(app, request_log=RequestLogConfig(sink=to_loguru))


@app.get("/items/{item_id}")
async def item(item_id: int) -> dict[str, int]:
    """Log a message: the ids are on it by themselves."""
    logger.info("looking for item {}", item_id)
    if item_id == 0:
        find(item_id, KEY)
    return {"id": item_id}


def find(item_id: int, key: str) -> None:
    """Fail, with a secret among the arguments."""
    raise LookupError(f"no item has the number {item_id}")
