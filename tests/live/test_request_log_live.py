"""Request log and catch-all with a real uvicorn: what it prints and what goes over the socket."""

import io
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from fastapi_patterns import RequestLogConfig, configure_logging, install_stack
from tests.live.server import serve


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """What the whole process logs, in text; every logger has what it had afterwards."""
    names = ("", "uvicorn", "uvicorn.error", "uvicorn.access", "httpx2", "httpx")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.level, logger.handlers[:], logger.propagate, logger.disabled) for logger in loggers]
    stream = io.StringIO()
    configure_logging("text", stream=stream)
    yield stream
    for logger, level, handlers, propagate, disabled in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate, logger.disabled = propagate, disabled


def request_lines(output: io.StringIO) -> list[str]:
    """The request log's lines."""
    return [line for line in output.getvalue().splitlines() if line.startswith("GET ")]


@pytest.mark.parametrize("path", ["/route", "/after"])
def test_a_500_has_its_body_its_id_and_one_traceback(path: str, output: io.StringIO) -> None:
    """From a route, and from middleware that breaks after the route: uvicorn prints no second traceback."""
    app = FastAPI()
    install_stack(app)

    @app.middleware("http")
    async def own(request: Request, call_next: Any) -> Any:
        answer = await call_next(request)
        if request.url.path == "/after":
            raise RuntimeError("a bug")
        return answer

    @app.get("/route")
    async def route() -> None:
        raise RuntimeError("a bug")

    @app.get("/after")
    async def after() -> str:
        return "fine"

    with serve(app) as url:
        answer = httpx2.get(f"{url}{path}?token=hunter2", headers={"X-Request-ID": "request-1"})
        assert httpx2.get(f"{url}/nothing").status_code == 404
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal Server Error"})
    assert answer.headers.get_list("x-request-id") == ["request-1"]
    assert output.getvalue().count("Traceback (most recent call last):") == 1
    first, _ = request_lines(output)
    assert first.split(" at=")[0].endswith("s 500 request_id=request-1")
    assert "hunter2" not in output.getvalue()


def test_a_path_of_raw_bytes_cannot_forge_a_line(output: io.StringIO) -> None:
    """Encoded line breaks and escapes, and bytes that are no UTF-8, as a real server decodes them."""
    app = FastAPI()
    install_stack(app)
    paths = ["/a%0d%0aGET%20/forged", "/%1b%5b31m", "/%e2%80%ae", "/%ff%fe", "/%C2%9B", "/%00", "/%252e"]
    with serve(app) as url:
        host, port = url.removeprefix("http://").split(":")
        for path in paths:
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
                assert b" 404 " in connection.makefile("rb").readline()
    assert len(request_lines(output)) == len(paths)
    assert output.getvalue().isascii()
    assert not set(output.getvalue()) & set("\r\x1b\x00")


def test_a_stream_is_logged_when_it_has_ended(output: io.StringIO) -> None:
    """While the client still reads there is no line; after the last byte there is one."""
    app, go_on = FastAPI(), threading.Event()
    install_stack(app)

    @app.get("/stream")
    def stream() -> StreamingResponse:
        def body() -> Iterator[bytes]:
            yield b"first"
            assert go_on.wait(10)
            yield b"last"

        return StreamingResponse(body())

    with serve(app) as url, httpx2.stream("GET", f"{url}/stream") as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"first"
        assert request_lines(output) == []
        go_on.set()
        assert b"".join(parts) == b"last"
    assert [line.split("s ", 1)[1][:4] for line in request_lines(output)] == ["200 "]


def test_a_client_that_leaves_before_the_answer_gives_one_line(output: io.StringIO) -> None:
    """The route goes on to its end; the request is logged once and no error is."""
    entered, left = threading.Event(), threading.Event()
    app = FastAPI()
    install_stack(app)

    @app.get("/slow")
    def slow() -> str:
        entered.set()
        assert left.wait(10)
        return "late"

    with serve(app) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
            assert entered.wait(10)
        left.set()
    assert len(request_lines(output)) == 1
    assert "Traceback" not in output.getvalue()


def test_logging_set_up_in_the_lifespan_holds(output: io.StringIO) -> None:
    """`configure_logging` in the lifespan, as documented, comes after uvicorn's own set-up."""
    stream = io.StringIO()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logging("text", stream=stream)
        yield

    app = FastAPI(lifespan=lifespan)
    install_stack(app)
    with serve(app) as url:
        httpx2.get(f"{url}/nothing")
    assert len(request_lines(stream)) == 1
    assert request_lines(output) == []
    assert "Application startup complete" in stream.getvalue()


def test_a_client_that_leaves_a_stream_is_marked() -> None:
    """The line says that the answer did not get through, with what was sent until then."""
    lines: list[dict[str, Any]] = []
    written, left = threading.Event(), threading.Event()
    app = FastAPI()

    def sink(level: int, text: str, fields: dict[str, Any]) -> None:
        lines.append(fields)
        written.set()

    install_stack(app, request_log=RequestLogConfig(sink=sink))

    @app.get("/endless")
    def endless() -> StreamingResponse:
        def body() -> Iterator[bytes]:
            yield b"first"
            assert left.wait(10)
            while True:
                yield b"x" * 1000

        return StreamingResponse(body())

    with serve(app) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(b"GET /endless HTTP/1.1\r\nHost: t\r\n\r\n")
            while b"first" not in connection.recv(65536):
                pass
        left.set()
        assert written.wait(10)
    (fields,) = lines
    assert (fields["http.response.status_code"], fields["client_disconnected"]) == (200, True)
    assert fields["http.response.body.size"] >= 5


def test_a_traceback_is_printed_once_without_any_logging_set_up(caplog: pytest.LogCaptureFixture) -> None:
    """Also where the application never calls `configure_logging`, the server's second copy is dropped."""
    app = FastAPI()
    install_stack(app)

    @app.get("/")
    async def route() -> None:
        raise RuntimeError("a bug")

    with serve(app) as url:
        assert httpx2.get(url).status_code == 500
    errors = [record for record in caplog.records if record.exc_info]
    assert [record.name for record in errors] == ["fastapi_patterns.errors"]
