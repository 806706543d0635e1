"""The request log: one line a request, with the id, and nothing that a client could forge."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, Request, WebSocket
from fastapi.responses import Response, StreamingResponse
from fastapi.testclient import TestClient

from fastapi_patterns import ConfigurationError, RequestLogConfig, RequestLogMiddleware
from fastapi_patterns.context import get_request_id

Records = Callable[[], list[logging.LogRecord]]


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[Records]:
    """The request records that were written so far."""
    with caplog.at_level(logging.INFO, logger="fastapi_patterns.request"):
        yield lambda: [record for record in caplog.records if record.name == "fastapi_patterns.request"]


@pytest.fixture
def app(clock: Clock) -> FastAPI:
    """An application with the log alone."""
    app, router = FastAPI(), APIRouter(prefix="/v1")
    app.add_middleware(RequestLogMiddleware, config=RequestLogConfig(clock=clock))

    @app.get("/fast")
    async def fast() -> str | None:
        clock.now += 0.1234
        return get_request_id()

    @router.get("/items/{item_id}")
    async def item(item_id: str, request: Request) -> str:
        request.state.user_id = "7"
        return str(request.state.request_id)

    @app.get("/broken")
    async def broken() -> None:
        clock.now += 0.5
        raise RuntimeError("broken")

    @app.get("/stream")
    async def stream(tasks: BackgroundTasks) -> StreamingResponse:
        async def body() -> Any:
            for _ in range(3):
                clock.now += 1
                yield b"x"

        async def later() -> None:
            clock.now += 100

        tasks.add_task(later)
        return StreamingResponse(body(), background=tasks)

    @app.get("/own-id")
    async def own_id() -> Response:
        return Response(headers={"X-Request-ID": "set-by-the-route"})

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(str(get_request_id()))
        await websocket.close()

    app.include_router(router, prefix="/api")
    return app


async def call(app: Any, path: str = "/", **scope: Any) -> list[Any]:
    """Send one raw ASGI request; what an HTTP client could not send too."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    whole = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", **scope}
    await app(whole, receive, send)
    return sent


def test_the_line_begins_with_method_path_and_time(app: FastAPI, records: Records) -> None:
    """`GET /path - 0.123s`, then the status; the id is a field of the record."""
    answer = TestClient(app).get("/fast?token=secret")
    (record,) = records()
    assert record.getMessage() == "GET /fast - 0.123s 200"
    assert record.request_id == answer.headers["x-request-id"] == answer.json()  # type: ignore[attr-defined]
    assert record.fields == {  # type: ignore[attr-defined]
        "request_id": answer.json(),
        "http.request.method": "GET",
        "url.path": "/fast",
        "http.route": "/fast",
        "http.response.status_code": 200,
        "http.server.request.duration": pytest.approx(0.1234, abs=2e-6),
        "http.server.time_to_first_byte": pytest.approx(0.1234, abs=2e-6),
        "http.request.body.size": 0,
        "http.response.body.size": len(answer.content),
        "client.address": "testclient",
        "user_agent.original": "testclient",
    }


def test_the_route_has_its_prefixes_and_the_user_is_named(app: FastAPI, records: Records) -> None:
    """The template of low cardinality, and the id that authentication left on the request."""
    answer = TestClient(app).get("/api/v1/items/42")
    (record,) = records()
    fields = record.fields  # type: ignore[attr-defined]
    assert fields["http.route"] == "/api/v1/items/{item_id}"
    assert fields["url.path"] == "/api/v1/items/42"
    assert fields["user.id"] == "7"
    assert answer.json() == answer.headers["x-request-id"]


def test_an_unhandled_error_is_a_500_in_the_log(app: FastAPI, records: Records) -> None:
    """The error goes on to the server, and the line is written all the same."""
    with pytest.raises(RuntimeError, match="broken"):
        TestClient(app).get("/broken")
    (record,) = records()
    assert record.getMessage() == "GET /broken - 0.500s 500"


def test_a_stream_counts_until_its_last_byte(app: FastAPI, records: Records) -> None:
    """The time is that of the whole answer, and background work is none of it."""
    TestClient(app).get("/stream")
    (record,) = records()
    assert record.getMessage() == "GET /stream - 3.000s 200"


def test_an_unknown_path_has_no_route(app: FastAPI, records: Records) -> None:
    """A 404 is logged with its path and no template."""
    TestClient(app).get("/nothing")
    (record,) = records()
    assert record.getMessage() == "GET /nothing - 0.000s 404"
    assert "http.route" not in record.fields  # type: ignore[attr-defined]


@pytest.mark.parametrize("request_id", ["12345678", "a.b_c-D9" * 8])
def test_a_good_id_is_kept(app: FastAPI, request_id: str, records: Records) -> None:
    """An incoming id goes through to the route, the log and the answer."""
    answer = TestClient(app).get("/fast", headers={"X-Request-ID": request_id})
    assert answer.headers["x-request-id"] == answer.json() == records()[0].request_id == request_id  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Request-ID", "short")],
        [("X-Request-ID", "x" * 65)],
        [("X-Request-ID", "with blank")],
        [("X-Request-ID", "semi;colon;x")],
        [("X-Request-ID", b"\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9")],
        [("X-Request-ID", "first-one"), ("X-Request-ID", "second-one")],
        [],
    ],
)
def test_any_other_id_is_replaced(app: FastAPI, headers: Any) -> None:
    """Too short, too long, foreign characters, two of them: the request gets an id of our own."""
    answer = TestClient(app).get("/fast", headers=headers)
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_a_distrustful_log_makes_its_own_ids(records: Records) -> None:
    """With `trust_request_id=False` no client chooses the id; header and maker can be set."""
    app = FastAPI()
    config = RequestLogConfig(request_id_header="X-Trace", trust_request_id=False, new_request_id=lambda: "made-here")
    app.add_middleware(RequestLogMiddleware, config=config)
    answer = TestClient(app).get("/", headers={"X-Trace": "chosen-by-the-client"})
    assert answer.headers["x-trace"] == "made-here"
    assert records()[0].request_id == "made-here"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["", "X Request", "X-Request-ID\r\n", "X:Y"])
def test_a_header_that_is_none_is_refused(name: str) -> None:
    """A name that HTTP does not allow ends the start-up."""
    with pytest.raises(ConfigurationError, match="must be an HTTP header name"):
        RequestLogConfig(request_id_header=name)


def test_the_answer_has_one_id(app: FastAPI) -> None:
    """A route that sets the header itself does not make it two."""
    answer = TestClient(app).get("/own-id", headers={"X-Request-ID": "of-the-client"})
    assert answer.headers.get_list("x-request-id") == ["of-the-client"]


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/a\r\nINFO: forged", "/a%0D%0AINFO:%20forged"),
        ("/\x1b[31mred", "/%1B%5B31mred"),
        ("/\u202eegnp", "/%E2%80%AEegnp"),
        ("/a\u2028b", "/a%E2%80%A8b"),
        ("/\udcff", "/%3F"),
        ("/caf\xe9", "/caf%C3%A9"),
        ("/a b%", "/a%20b%25"),
        ("/" + "x" * 5000, "/" + "x" * 2047 + "..."),
    ],
)
def test_a_path_cannot_forge_the_log(path: str, logged: str, records: Records) -> None:
    """Line breaks, escape sequences, bidi marks and lone surrogates are percent-encoded; the length is bounded."""
    asyncio.run(call(RequestLogMiddleware(FastAPI()), path))
    (record,) = records()
    assert record.getMessage().startswith(f"GET {logged} - ")
    assert record.fields["url.path"] == logged  # type: ignore[attr-defined]


def test_a_method_cannot_forge_the_log(records: Records) -> None:
    """A server may let strange methods through."""
    asyncio.run(call(RequestLogMiddleware(FastAPI()), method="GET\nforged"))
    assert records()[0].getMessage().startswith("GET%0Aforged / - ")


def test_a_client_that_left_before_the_answer(records: Records) -> None:
    """An application that sends nothing is logged once, with the status 0."""

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        return None

    asyncio.run(call(RequestLogMiddleware(silent)))
    assert [record.getMessage()[-2:] for record in records()] == [" 0"]


def test_a_cancelled_request_is_logged_and_goes_on(records: Records) -> None:
    """Cancellation is not swallowed, and leaves its line."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def cancelled() -> None:
        task = asyncio.create_task(call(RequestLogMiddleware(slow)))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert len(records()) == 1


def test_websockets_have_an_id_and_lifespans_pass(app: FastAPI, records: Records) -> None:
    """A websocket sees its id and is logged when it closes; start-up and shutdown go through without a line."""
    with TestClient(app) as client, client.websocket_connect("/socket", headers={"X-Request-ID": "socket-1"}) as socket:
        assert socket.receive_text() == "socket-1"
        assert dict(socket.extra_headers)[b"x-request-id"] == b"socket-1"
    (record,) = records()
    assert record.getMessage() == "WEBSOCKET /socket - 0.000s 1000"


def test_the_id_ends_with_the_request(app: FastAPI) -> None:
    """After the answer the context has no id, also after an error."""

    async def both() -> list[str | None]:
        ids = [get_request_id()]
        await call(app, "/fast")
        ids.append(get_request_id())
        with pytest.raises(RuntimeError):
            await call(app, "/broken")
        return [*ids, get_request_id()]

    assert asyncio.run(both()) == [None, None, None]


def test_concurrent_requests_keep_their_ids() -> None:
    """50 requests at a time: each sees its own id in its route and its answer."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(get_request_id()).encode()})

    async def ask_all() -> list[tuple[bytes, bytes]]:
        wrapped = RequestLogMiddleware(echo)
        headers = [[(b"x-request-id", f"request-{number}".encode())] for number in range(50)]
        answers = await asyncio.gather(*(call(wrapped, headers=each) for each in headers))
        return [(dict(start["headers"])[b"x-request-id"], body["body"]) for start, body in answers]

    expected = [f"request-{number}".encode() for number in range(50)]
    assert asyncio.run(ask_all()) == [(each, each) for each in expected]


def test_the_json_form_parses(records: Records, app: FastAPI) -> None:
    """Written by the JSON formatter, the line is one object with the fields by their standard names."""
    from fastapi_patterns.logs import JsonFormatter

    TestClient(app).get("/fast")
    written = json.loads(JsonFormatter().format(records()[0]))
    assert written["message"] == "GET /fast - 0.123s 200"
    assert written["http.response.status_code"] == 200
    assert written["level"] == "INFO"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", written["time"])
    assert io.StringIO(JsonFormatter().format(records()[0])).read().count("\n") == 0
