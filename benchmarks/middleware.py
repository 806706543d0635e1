"""What a request costs with the log, with the whole stack, and with what people use instead, in process.

What is written goes to memory, so that no file or terminal is measured.
"""

import asyncio
import io
import logging
from collections.abc import Callable
from functools import cache

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from benchmarks.harness import OURS, Case, Suite
from benchmarks.in_process import Memory, requests_to
from benchmarks.middleware_peers import PEERS, fastapi_problem, usual_logger, usual_stack
from fastapi_patterns import AppException, RequestLogConfig, RequestLogMiddleware, install_error_handlers, install_stack
from fastapi_patterns.logs import JsonFormatter, JsonLines, RequestContextFilter

__all__ = ["suite"]

_FLOOR = "a bare FastAPI application that answers GET /ping with a small dict"
_MANY = 2000


class Body(BaseModel):
    """A body that fails to validate."""

    email: str
    age: int


def suite() -> Suite:
    """Make the cases: the log, the stack, and the errors, each over the same bare application."""
    _log_to(logging.getLogger("fastapi_patterns.request"), JsonFormatter())
    loop = asyncio.new_event_loop()

    def on(app: FastAPI, path: str = "/ping", *, status: int = 200) -> Callable[[], object]:
        if path == "/validate":
            return requests_to(loop, app, path, method="POST", content=b'{"email": 7}', status=status)
        return requests_to(loop, app, path, status=status)

    peers = {name: _lazily(lambda peer=peer: on(peer(_app()))) for name, peer in PEERS.items()}  # type: ignore[misc]
    return Suite(
        "middleware",
        [
            Case(
                "request log as JSON and id, direct sink",
                _FLOOR,
                {
                    "floor": on(_app()),
                    OURS: on(_logged(_app(), _direct())),
                    "the usual @app.middleware('http') logger": on(_usual(_app())),
                    **peers,
                },
            ),
            Case(
                "request log as JSON and id, through logging",
                _FLOOR,
                {"floor": on(_app()), OURS: on(_logged(_app()))},
            ),
            Case(
                "the whole stack, direct sink",
                _FLOOR,
                {"floor": on(_app()), OURS: on(_stacked(_app(), _direct()))},
            ),
            Case(
                "the whole stack, through logging",
                _FLOOR,
                {
                    "floor": on(_app()),
                    OURS: on(_stacked(_app())),
                    "the usual copies, stacked": on(_usual(_app(), usual_stack)),
                },
            ),
            Case(
                f"the whole stack on {_MANY} routes, direct sink",
                f"a bare application with {_MANY} routes more",
                {"floor": on(_app(_MANY)), OURS: on(_stacked(_app(_MANY), _direct()))},
            ),
            Case(
                "an error that the route raises, without the log",
                _FLOOR,
                {
                    "floor": on(_app()),
                    OURS: on(_with_handlers(_app()), "/app-exception", status=409),
                    "FastAPI: HTTPException": on(_app(), "/http-exception", status=409),
                    "fastapi-problem": _lazily(lambda: on(fastapi_problem(_app()), "/http-exception", status=409)),
                },
            ),
            Case(
                "a validation error, without the log",
                _FLOOR,
                {
                    "floor": on(_app()),
                    OURS: on(_with_handlers(_app()), "/validate", status=422),
                    "FastAPI: 422": on(_app(), "/validate", status=422),
                    "fastapi-problem": _lazily(lambda: on(fastapi_problem(_app()), "/validate", status=422)),
                },
            ),
        ],
    )


def _lazily(make: Callable[[], Callable[[], object]]) -> Callable[[], object]:
    """Make a peer when it is first measured: one that is not installed is a subject that could not run."""
    made = cache(make)
    return lambda: made()()


def _app(more_routes: int = 0) -> FastAPI:
    app = FastAPI()

    @app.get("/ping")
    async def ping() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/app-exception")
    async def app_exception() -> None:
        raise AppException(409, "taken")

    @app.get("/http-exception")
    async def http_exception() -> None:
        raise HTTPException(409, "taken")

    @app.post("/validate")
    async def validate(body: Body) -> None:
        return None

    for number in range(more_routes):
        app.add_api_route(f"/more/{number}/{{item_id}}", ping)
    return app


def _direct() -> RequestLogConfig:
    return RequestLogConfig(sink=JsonLines(Memory()))


def _logged(app: FastAPI, config: RequestLogConfig | None = None) -> FastAPI:
    app.add_middleware(RequestLogMiddleware, config=config)
    return app


def _stacked(app: FastAPI, config: RequestLogConfig | None = None) -> FastAPI:
    install_stack(app, allow_origins=["https://app.example"], request_log=config)
    return app


def _with_handlers(app: FastAPI) -> FastAPI:
    install_error_handlers(app)
    return app


def _usual(app: FastAPI, copies: Callable[[FastAPI, logging.Logger], FastAPI] = usual_logger) -> FastAPI:
    logger = logging.getLogger("benchmarks.usual")
    _log_to(logger, logging.Formatter("%(message)s"))
    return copies(app, logger)


def _log_to(logger: logging.Logger, formatter: logging.Formatter) -> None:
    """Format every record and write it to memory, which is emptied as it goes."""

    class Sink(io.StringIO):
        def write(self, text: str) -> int:
            self.seek(0)
            return super().write(text)

    handler = logging.StreamHandler(Sink())
    handler.setFormatter(formatter)
    handler.addFilter(RequestContextFilter())
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
