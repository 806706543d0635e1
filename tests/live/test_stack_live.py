"""The stack over real sockets."""

import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware

from fastapi_patterns import install_stack
from tests.live.server import serve


def make_app() -> FastAPI:
    """An application that breaks and streams."""
    app = FastAPI()
    install_stack(app)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret")

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        import asyncio

        async def body() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.01)

        return StreamingResponse(body())

    return app


def test_a_500_reaches_the_client_whole() -> None:
    """Body and request id, and a word that the connection ends, so that the next request opens another."""
    with serve(make_app()) as url:
        answer = httpx2.get(f"{url}/broken", headers={"X-Request-ID": "request-1"})
        with httpx2.Client(base_url=url) as client:
            assert [client.get("/broken").status_code for _ in range(3)] == [500, 500, 500]
    assert answer.status_code == 500
    assert answer.headers["connection"] == "close"
    assert answer.json() == {"error": "Internal Server Error"}
    assert answer.headers["x-request-id"] == "request-1"


def test_a_client_that_leaves_a_stream_gives_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """The stream ends when the client is gone, and the request is logged once."""
    with caplog.at_level(logging.INFO, logger="fastapi_patterns"), serve(make_app()) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET /endless HTTP/1.1\r\nHost: t\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        # `serve` waits for open requests when it stops: an endless one would not let it go.
    lines = [record.getMessage() for record in caplog.records if record.name == "fastapi_patterns.request"]
    assert len(lines) == 1
    assert lines[0].startswith("GET /endless - ")


class Pure:
    """Middleware that only passes on."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Wrapping(BaseHTTPMiddleware):
    """The same as Starlette's convenient kind."""

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


@pytest.mark.parametrize("kind", [Pure, Wrapping])
def test_a_stream_that_breaks_off(kind: type[Any]) -> None:
    """The connection is cut, so that the client knows; behind a `BaseHTTPMiddleware` it gets a whole answer."""
    app = FastAPI()
    app.add_middleware(kind)
    install_stack(app)

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"first"
            raise RuntimeError("the stream broke")

        return StreamingResponse(body())

    with serve(app) as url:
        if kind is Wrapping:
            answer = httpx2.get(f"{url}/half")
            assert (answer.status_code, answer.text) == (200, "first")
        else:
            with pytest.raises(httpx2.RemoteProtocolError):
                httpx2.get(f"{url}/half")


def test_a_failing_background_task_keeps_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    """The client has its whole answer, and its next request on the same connection is served; the failure is logged."""
    app = FastAPI()
    install_stack(app)
    peers: list[Any] = []

    def fails() -> None:
        raise RuntimeError("a bug")

    @app.get("/")
    async def route(request: Request, tasks: BackgroundTasks) -> None:
        peers.append(request.client)
        tasks.add_task(fails)

    with serve(app) as url, httpx2.Client() as client:
        assert [client.get(url).status_code for _ in range(10)] == [200] * 10
    assert len(set(peers)) == 1
    errors = [record for record in caplog.records if record.exc_info]
    assert [record.getMessage() for record in errors] == ["Unhandled RuntimeError"] * 10
