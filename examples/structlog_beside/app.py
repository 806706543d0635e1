"""structlog writes everything: its own events, the request lines, and what goes through `logging`."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI
from structlog.typing import EventDict, Processor, WrappedLogger

from fastapi_patterns import RequestLogConfig, install_stack
from fastapi_patterns.context import current_request

log = structlog.stdlib.get_logger("shop")
request_log = structlog.stdlib.get_logger("shop.request")


def add_request(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A processor: put the ids of the request at hand on an event."""
    request = current_request()
    if request is not None:
        event.setdefault("request_id", request.request_id)
        if request.trace_id is not None:
            event.setdefault("trace_id", request.trace_id)
    return event


def to_structlog(level: int, text: str, fields: dict[str, Any]) -> None:
    """A sink: write a request line as an event with fields."""
    request_log.log(level, text, **fields)


def no_sockets(record: logging.LogRecord) -> bool:
    """A filter: drop uvicorn's line for each websocket, which shows the whole query."""
    return '"WebSocket %s"' not in str(record.msg)


def configure_structlog() -> None:
    """Send structlog's events and `logging`'s records through one chain, to JSON on standard error."""
    chain: list[Processor] = [
        add_request,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    structlog.configure(
        processors=[*chain, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,  # for records of libraries, this one's tracebacks among them
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,  # not dict_tracebacks, which prints local variables
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in ("httpx", "httpx2"):  # their INFO lines show whole URLs
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True  # and so do these
    logging.getLogger("uvicorn.error").addFilter(no_sockets)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Configure after uvicorn has configured its own; start it with `log_config=None`."""
    configure_structlog()
    yield


app = FastAPI(lifespan=lifespan)
install_stack(app, request_log=RequestLogConfig(sink=to_structlog))


@app.get("/items/{item_id}")
async def item(item_id: int) -> dict[str, int]:
    """Log an event: the ids are on it by themselves."""
    log.info("looking for an item", item_id=item_id)
    if item_id == 0:
        raise LookupError("no item has the number 0")
    return {"id": item_id}
