"""The catch-all in the corners: middleware that holds an answer back, shared exceptions, handlers that break."""

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from fastapi_patterns import install_stack
from fastapi_patterns.middleware.catch_all import was_logged

SHARED = RuntimeError("one instance for every request: secret")


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """The error records of the library, as they are written."""
    found: list[logging.LogRecord] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record)

    handler = Collect(logging.ERROR)
    logger = logging.getLogger("fastapi_patterns.errors")
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


def ask(app: FastAPI, path: str) -> Any:
    """Ask as a browser does, with an id."""
    client = TestClient(app, raise_server_exceptions=False)
    return client.get(path, headers={"X-Request-ID": "request-1", "Origin": "https://app.example"})


@pytest.mark.parametrize("kind", ["before", "after"])
def test_middleware_that_breaks_after_the_route(kind: str, errors: list[logging.LogRecord]) -> None:
    """The route's answer, held back in `call_next`, never left: the client gets the 500 with id and CORS."""
    app = FastAPI()

    async def breaks(request: Request, call_next: Any) -> Any:
        await call_next(request)
        raise RuntimeError("after the route: secret")

    if kind == "before":
        app.middleware("http")(breaks)
    install_stack(app, allow_origins=["https://app.example"])
    if kind == "after":
        app.middleware("http")(breaks)

    @app.get("/")
    async def route() -> str:
        return "fine"

    answer = ask(app, "/")
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal Server Error"})
    assert answer.headers["x-request-id"] == "request-1"
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert [record.getMessage() for record in errors] == ["Unhandled RuntimeError"]


def test_an_exception_shared_by_requests_is_logged_for_each(errors: list[logging.LogRecord]) -> None:
    """A cached failure, one instance raised again and again, leaves a traceback a request."""
    app = FastAPI()
    install_stack(app)

    @app.get("/")
    async def route() -> None:
        raise SHARED

    for _ in range(3):
        assert ask(app, "/").json() == {"error": "Internal Server Error"}
    assert len(errors) == 3


@pytest.mark.parametrize("is_async", [True, False])
def test_an_own_handler_that_breaks_is_replaced(is_async: bool, errors: list[logging.LogRecord]) -> None:
    """The last resort does not depend on the application's code; both failures are logged, each once."""
    app, calls = FastAPI(), []
    install_stack(app)

    async def broken(request: Request, error: Exception) -> JSONResponse:
        calls.append(error)
        raise ValueError("no template")

    def broken_sync(request: Request, error: Exception) -> JSONResponse:
        calls.append(error)
        raise ValueError("no template")

    app.add_exception_handler(Exception, broken if is_async else broken_sync)

    @app.get("/")
    async def route() -> None:
        raise RuntimeError("secret")

    answer = ask(app, "/")
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal Server Error"})
    assert answer.headers["x-request-id"] == "request-1"
    assert len(calls) == 1
    assert [record.getMessage() for record in errors] == [
        "Unhandled RuntimeError",
        "The handler of unhandled errors failed: ValueError",
    ]


@pytest.mark.parametrize(("path", "status"), [("/route", 503), ("/middleware", 503), ("/stream", 200)])
def test_an_own_handler_is_called_once(path: str, status: int) -> None:
    """The catch-all and Starlette's own layer share one call of it, also when it comes too late to answer."""
    app, calls = FastAPI(), []
    install_stack(app)

    @app.middleware("http")
    async def own_middleware(request: Request, call_next: Any) -> Any:
        if request.url.path == "/middleware":
            raise RuntimeError("secret")
        return await call_next(request)

    @app.exception_handler(500)
    async def own(request: Request, error: Exception) -> JSONResponse:
        calls.append(request.state.request_id)
        return JSONResponse({"own": True}, 503)

    @app.get("/route")
    async def route() -> None:
        raise RuntimeError("secret")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"first"
            raise RuntimeError("secret")

        return StreamingResponse(body())

    assert (ask(app, path).status_code, calls) == (status, ["request-1"])


def test_a_background_task_that_fails_is_no_500(
    errors: list[logging.LogRecord], caplog: pytest.LogCaptureFixture
) -> None:
    """The answer was complete: it stays 200 for the client and in the request's line, and the failure is logged."""
    app = FastAPI()
    install_stack(app)

    async def fails() -> None:
        raise RuntimeError("secret")

    @app.get("/")
    async def route(tasks: BackgroundTasks) -> str:
        tasks.add_task(fails)
        return "fine"

    with caplog.at_level(logging.INFO, logger="fastapi_patterns.request"):
        answer = ask(app, "/")
    assert (answer.status_code, answer.json()) == (200, "fine")
    lines = [record.getMessage() for record in caplog.records if record.name == "fastapi_patterns.request"]
    assert [line[-4:] for line in lines] == [" 200"]
    assert [record.getMessage() for record in errors] == ["Unhandled RuntimeError"]


def test_a_mounted_application_answers_for_itself() -> None:
    """An error in a sub-application has the sub-application's answer, with the id of the outer log."""
    sub, app = FastAPI(), FastAPI()
    install_stack(app)

    @sub.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret")

    app.mount("/sub", sub)
    answer = ask(app, "/sub/broken")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert answer.headers["x-request-id"] == "request-1"


def test_a_websocket_that_breaks_is_logged_once_with_its_id(errors: list[logging.LogRecord]) -> None:
    """There is no answer to send: the exception goes on to the server, whose own line is dropped."""
    app = FastAPI()
    install_stack(app)

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        raise RuntimeError("broken")

    with (
        pytest.raises(RuntimeError, match="broken") as raised,
        TestClient(app).websocket_connect("/socket") as connection,
    ):
        connection.receive_text()
    assert [record.getMessage() for record in errors] == ["Unhandled RuntimeError"]
    assert was_logged(raised.value)


def test_a_websocket_whose_client_left_is_no_error(errors: list[logging.LogRecord]) -> None:
    """Reading on after the client has gone raises WebSocketDisconnect, which every such route does at its end."""
    app = FastAPI()
    install_stack(app)

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    with pytest.raises(WebSocketDisconnect), TestClient(app).websocket_connect("/socket") as connection:
        connection.close()
    assert errors == []
