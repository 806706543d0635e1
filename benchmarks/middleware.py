"""What a request costs with the log, with the whole stack, and with the copies that people paste, in process."""

import asyncio
import io
import json
import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

from benchmarks.harness import OURS, Case, Suite
from fastapi_patterns import AppException, RequestLogMiddleware, install_stack
from fastapi_patterns.logs import JsonFormatter, RequestContextFilter

__all__ = ["suite"]

_REQUESTS = 100  # in one sample, so that entering the event loop does not count
_FLOOR = "a bare FastAPI application that answers GET /ping with a small dict"


class Body(BaseModel):
    """A body that fails to validate."""

    email: str
    age: int


def suite() -> Suite:
    """Make the cases: the log, the stack, and the errors, each over the same bare application."""
    _log_to(logging.getLogger("fastapi_patterns.request"), JsonFormatter())
    loop = asyncio.new_event_loop()
    bare = _subject(loop, _app())
    return Suite(
        "middleware",
        [
            Case(
                "request log as JSON, request id in and out",
                _FLOOR,
                {
                    "floor": bare,
                    OURS: _subject(loop, _logged(_app())),
                    "the usual @app.middleware('http') logger": _subject(loop, _usual(_app())),
                },
            ),
            Case(
                "the whole stack: log, CORS, catch-all, handlers",
                _FLOOR,
                {"floor": bare, OURS: _subject(loop, _stacked(_app()))},
            ),
            Case(
                "an error that the route raises, without the log",
                _FLOOR,
                {
                    "floor": bare,
                    OURS: _subject(loop, _with_handlers(_app()), "/app-exception", status=409),
                    "FastAPI: HTTPException": _subject(loop, _app(), "/http-exception", status=409),
                },
            ),
            Case(
                "a validation error, without the log",
                _FLOOR,
                {
                    "floor": bare,
                    OURS: _subject(loop, _with_handlers(_app()), "/validate", status=422),
                    "FastAPI: 422": _subject(loop, _app(), "/validate", status=422),
                },
            ),
        ],
    )


def _app() -> FastAPI:
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

    return app


def _logged(app: FastAPI) -> FastAPI:
    app.add_middleware(RequestLogMiddleware)
    return app


def _stacked(app: FastAPI) -> FastAPI:
    install_stack(app, allow_origins=["https://app.example"])
    return app


def _with_handlers(app: FastAPI) -> FastAPI:
    from fastapi_patterns import install_error_handlers

    install_error_handlers(app)
    return app


def _usual(app: FastAPI) -> FastAPI:
    logger = logging.getLogger("benchmarks.usual")
    _log_to(logger, logging.Formatter("%(message)s"))

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


def _subject(
    loop: asyncio.AbstractEventLoop, app: Any, path: str = "/ping", *, status: int = 200
) -> Callable[[], object]:
    method = "POST" if path == "/validate" else "GET"
    content = b'{"email": 7}' if method == "POST" else b""
    headers = [(b"host", b"t"), (b"accept", b"*/*"), (b"user-agent", b"bench"), (b"content-type", b"application/json")]
    seen: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            seen.append(message["status"])

    async def requests() -> None:
        for _ in range(_REQUESTS):
            scope = {
                "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
                "method": method, "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
                "root_path": "", "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
                "state": {},
            }  # fmt: skip
            await app(scope, receive, send)

    def run() -> None:
        seen.clear()
        loop.run_until_complete(requests())
        if seen != [status] * _REQUESTS:
            raise RuntimeError(f"expected {status}, got {set(seen)}")

    return run
