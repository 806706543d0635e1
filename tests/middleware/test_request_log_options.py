"""What can be said about the request log: levels, fields, redaction, sinks, traces, websockets."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import Body, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from fastapi_patterns import ConfigurationError, RequestLogConfig, RequestLogMiddleware
from fastapi_patterns.context import current_request

Line = tuple[int, str, dict[str, Any]]
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Clock:
    """Seconds that pass when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def make(**options: Any) -> tuple[FastAPI, list[Line], Clock]:
    """An application whose lines are collected through a sink."""
    lines: list[Line] = []
    clock = Clock()
    app = FastAPI()
    options = {"sink": lambda level, text, fields: lines.append((level, text, fields)), "clock": clock, **options}
    app.add_middleware(RequestLogMiddleware, config=RequestLogConfig(**options))

    @app.get("/health")
    async def health(fail: bool = False) -> str:
        if fail:
            raise RuntimeError("not healthy")
        return "fine"

    @app.get("/slow")
    async def slow() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            clock.now += 0.5
            yield b"12345"
            clock.now += 2
            yield b"678"

        clock.now += 1
        return StreamingResponse(body())

    @app.post("/echo")
    async def echo(said: str = Body()) -> str:
        return said

    @app.get("/status/{status}")
    async def status(status: int, request: Request) -> StreamingResponse:
        request.state.tenant = "acme"
        return StreamingResponse(iter([b""]), status)

    @app.get("/reset/{token}")
    async def reset(token: str) -> str | None:
        request = current_request()
        return None if request is None else request.trace_id

    @app.get("/files/{path:path}/by/{user_id}")
    async def file(path: str, user_id: int) -> str:
        return path

    return app, lines, clock


def test_sizes_and_times_of_a_stream() -> None:
    """The first byte after the route, the whole answer at the end, and the bytes of both bodies."""
    app, lines, _ = make()
    TestClient(app).get("/slow")
    TestClient(app).post("/echo", json="hello")
    slow, echo = (fields for _, _, fields in lines)
    assert slow["http.server.time_to_first_byte"] == pytest.approx(1.0)
    assert slow["http.server.request.duration"] == pytest.approx(3.5)
    assert (slow["http.request.body.size"], slow["http.response.body.size"]) == (0, 8)
    assert (echo["http.request.body.size"], echo["http.response.body.size"]) == (7, 7)


def test_a_head_request_sends_no_body() -> None:
    """The server drops what the application writes."""
    app, lines, _ = make()
    app.add_api_route("/head", lambda: "text", methods=["HEAD"])
    TestClient(app).head("/head")
    assert lines[0][2]["http.response.body.size"] == 0


@pytest.mark.parametrize(
    ("path", "level"),
    [("/health", "INFO"), ("/nothing", "INFO"), ("/status/503", "WARNING"), ("/slow", "WARNING")],
)
def test_the_level_follows_status_and_time(path: str, level: str) -> None:
    """500 and above and what is slow stand out; one ERROR a failure is the traceback's."""
    app, lines, _ = make(slow_after=timedelta(seconds=3))
    TestClient(app).get(path)
    assert logging.getLevelName(lines[0][0]) == level


def test_the_level_is_the_applications_choice() -> None:
    """A function of the status."""
    app, lines, _ = make(level=lambda status: logging.ERROR if status == 404 else logging.DEBUG)
    for path in ("/nothing", "/health"):
        TestClient(app).get(path)
    assert [level for level, _, _ in lines] == [logging.ERROR, logging.DEBUG]


def test_a_level_that_is_not_wanted_costs_no_line(caplog: pytest.LogCaptureFixture) -> None:
    """Through logging, a line below the logger's level is not made."""
    app, _, _ = make(sink=None, level=lambda status: logging.DEBUG)
    with caplog.at_level(logging.INFO, logger="fastapi_patterns.request"):
        TestClient(app).get("/health")
    assert [record for record in caplog.records if record.name == "fastapi_patterns.request"] == []


@pytest.mark.parametrize("skip", [{"/health", "/status/200"}, ["/health", "/status/{status}"]])
def test_what_is_skipped_is_logged_when_it_fails(skip: Any) -> None:
    """By path or by route template; an error is never silent."""
    app, lines, _ = make(skip=skip)
    client = TestClient(app, raise_server_exceptions=False)
    for path in ("/health", "/status/200", "/health?fail=true", "/nothing"):
        client.get(path)
    assert [text for _, text, _ in lines] == ["GET /health - 0.000s 500", "GET /nothing - 0.000s 404"]


def test_an_error_has_its_type() -> None:
    """The exception's class, or the status where nothing was raised (OpenTelemetry's error.type)."""
    app, lines, _ = make()
    client = TestClient(app, raise_server_exceptions=False)
    for path in ("/health?fail=true", "/status/502", "/status/404"):
        client.get(path)
    assert [fields.get("error.type") for _, _, fields in lines] == ["RuntimeError", "502", None]


def test_fields_are_renamed_left_out_and_added() -> None:
    """One mapping and one function; the line's text stays."""
    app, lines, _ = make(
        field_names={"http.response.status_code": "status", "client.address": None},
        extra=lambda scope: {"tenant": scope["state"]["tenant"]},
    )
    TestClient(app).get("/status/201")
    ((_, text, fields),) = lines
    assert text == "GET /status/201 - 0.000s 201"
    assert (fields["status"], fields["tenant"]) == (201, "acme")
    assert not {"http.response.status_code", "client.address"} & fields.keys()


def test_a_function_that_fails_costs_no_line(caplog: pytest.LogCaptureFixture) -> None:
    """The failure is logged, the request and its line are what they were."""
    app, lines, _ = make(extra=lambda scope: {"tenant": scope["state"]["tenant"]})
    assert TestClient(app).get("/health").status_code == 200
    assert lines[0][1] == "GET /health - 0.000s 200"
    assert [record.getMessage() for record in caplog.records] == ["RequestLogConfig.extra failed: KeyError"]


def test_the_query_is_off_by_default() -> None:
    """Nobody has to think of redaction who does not ask for the query."""
    app, lines, _ = make()
    TestClient(app).get("/health?page=2&q=secret")
    assert "url.query" not in lines[0][2]
    assert "secret" not in str(lines)


def test_the_query_is_redacted_by_name() -> None:
    """Asked for, it shows what is not secret."""
    app, lines, _ = make(query=True)
    TestClient(app).get("/health?page=2&token=hunter2")
    assert lines[0][2]["url.query"] == "page=2&token=[redacted]"


def test_headers_are_logged_by_an_allow_list() -> None:
    """Only those that are named, and of a Referer only the origin."""
    app, lines, _ = make(headers=("Accept-Language", "referer"))
    TestClient(app).get(
        "/health",
        headers={"Accept-Language": "de", "Referer": "https://a.example:8443/reset/s3cret?x=1", "X-Other": "x"},
    )
    fields = {name: value for name, value in lines[0][2].items() if name.startswith("http.request.header.")}
    assert fields == {
        "http.request.header.accept-language": "de",
        "http.request.header.referer": "https://a.example:8443",
    }


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/reset/s3cret", "/reset/[redacted]"),
        ("/files/a/b/by/7", "/files/a/b/by/7"),
        ("/reset/a%2Fb", "/reset/a/b"),
    ],
)
def test_secret_path_parameters_are_hidden(path: str, shown: str) -> None:
    """By their name in the route's template; another path shows as it is."""
    app, lines, _ = make()
    TestClient(app).get(path)
    assert lines[0][2]["url.path"] == shown
    assert lines[0][1].startswith(f"GET {shown} - ")


def test_a_valid_traceparent_gives_the_trace() -> None:
    """The caller's trace id is on the line and in the request's context (W3C Trace Context section 3.2)."""
    app, lines, _ = make()
    answer = TestClient(app).get("/reset/x", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
    assert answer.json() == lines[0][2]["trace_id"] == TRACE


@pytest.mark.parametrize(
    "header",
    [
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        f"00-{TRACE}-b7ad6b7169203331",
        f"00-{TRACE}-b7ad6b7169203331-01-extra",
        "",
        "\x1b[31m",
    ],
)
def test_any_other_traceparent_is_ignored(header: str) -> None:
    """All-zero ids, the version ff, upper case, other lengths, other text."""
    app, lines, _ = make()
    assert TestClient(app).get("/reset/x", headers={"traceparent": header.encode()}).json() is None
    assert "trace_id" not in lines[0][2]


def test_an_opentelemetry_span_gives_the_trace() -> None:
    """The span of the server around the request wins over the header."""
    trace = pytest.importorskip("opentelemetry.trace")
    app, lines, _ = make()
    context = trace.SpanContext(int(TRACE, 16), 0xB7AD6B7169203331, is_remote=False)

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        with trace.use_span(trace.NonRecordingSpan(context)):
            await app(scope, receive, send)

    answer = TestClient(traced).get("/reset/x", headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"})
    assert answer.json() == lines[0][2]["trace_id"] == TRACE
    assert lines[0][2]["span_id"] == "b7ad6b7169203331"


def disconnecting(*, after: int) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """A client that sends its request and leaves after that many messages of the answer."""
    left, sent = asyncio.Event(), []

    async def receive() -> Any:
        if not left.is_set():
            await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) >= after:
            left.set()

    return receive, send


def test_a_client_that_leaves_a_stream_is_marked() -> None:
    """The status is what was sent; the mark says that the answer did not get through."""
    app, lines, _ = make()

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            while True:
                yield b"x"
                await asyncio.sleep(0)

        return StreamingResponse(body())

    async def leave() -> None:
        receive, send = disconnecting(after=3)
        await app(
            {"type": "http", "method": "GET", "path": "/endless", "headers": [], "query_string": b""}, receive, send
        )

    asyncio.run(leave())
    ((_, _, fields),) = lines
    assert (fields["http.response.status_code"], fields["client_disconnected"]) == (200, True)


def test_a_client_that_leaves_after_the_answer_is_not_marked() -> None:
    """The server always says that the client has gone, sooner or later."""
    app, lines, _ = make()

    async def leave() -> None:
        receive, send = disconnecting(after=1)
        await app(
            {"type": "http", "method": "GET", "path": "/health", "headers": [], "query_string": b""}, receive, send
        )

    asyncio.run(leave())
    assert "client_disconnected" not in lines[0][2]


def test_a_file_that_the_server_sends_ends_the_request() -> None:
    """`http.response.pathsend` is the last message (ASGI extension)."""
    lines: list[Line] = []

    async def sends_a_file(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": "/a"})
        assert len(lines) == 1

    config = RequestLogConfig(sink=lambda level, text, fields: lines.append((level, text, fields)))
    receive, send = disconnecting(after=9)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(RequestLogMiddleware(sends_a_file, config)(scope, receive, send))
    assert len(lines) == 1


@pytest.fixture
def sockets() -> tuple[TestClient, list[Line]]:
    """Websockets that end in each way."""
    app, lines, clock = make()

    @app.websocket("/talk/{room}")
    async def talk(websocket: WebSocket, room: str) -> None:
        await websocket.accept()
        clock.now += 2
        await websocket.receive_text()

    @app.websocket("/refused")
    async def refused(websocket: WebSocket) -> None:
        await websocket.close(4401)

    @app.websocket("/closes")
    async def closes(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(4001)

    @app.websocket("/breaks")
    async def breaks(websocket: WebSocket) -> None:
        await websocket.accept()
        raise RuntimeError("a bug")

    return TestClient(app), lines


def test_a_websocket_has_one_line_at_its_close(sockets: tuple[TestClient, list[Line]]) -> None:
    """Its whole time, its route and its close code."""
    client, lines = sockets
    with client.websocket_connect("/talk/7") as socket:
        assert lines == []
        socket.send_text("bye")
    ((level, text, fields),) = lines
    assert (level, text) == (logging.INFO, "WEBSOCKET /talk/7 - 2.000s 101")
    assert fields["http.route"] == "/talk/{room}"


@pytest.mark.parametrize(
    ("path", "text"), [("/refused", "WEBSOCKET /refused - 0.000s 403"), ("/closes", "WEBSOCKET /closes - 0.000s 4001")]
)
def test_how_a_websocket_ended(path: str, text: str, sockets: tuple[TestClient, list[Line]]) -> None:
    """A close before the handshake is a 403 to the client; after it there is a code."""
    client, lines = sockets
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(path) as socket:
        socket.receive_text()
    assert [each for _, each, _ in lines] == [text]


def test_a_websocket_whose_client_leaves(sockets: tuple[TestClient, list[Line]]) -> None:
    """The client's close code is the line's; 1006 says that there was none."""
    client, lines = sockets
    for code in (1001, 1006):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/talk/7") as socket:
            socket.close(code)
            socket.receive_text()
    assert [fields["websocket.close_code"] for _, _, fields in lines] == [1001, 1006]
    assert [fields.get("client_disconnected") for _, _, fields in lines] == [None, True]


def test_a_websocket_that_breaks(sockets: tuple[TestClient, list[Line]]) -> None:
    """The error's type is on the line, with the code that the server closes with, at WARNING."""
    client, lines = sockets
    with pytest.raises(RuntimeError), client.websocket_connect("/breaks") as socket:
        socket.receive_text()
    ((level, text, fields),) = lines
    assert (level, text) == (logging.WARNING, "WEBSOCKET /breaks - 0.000s 1011")
    assert fields["error.type"] == "RuntimeError"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"skip": "/health"}, "skip must be a list or a set"),
        ({"headers": "referer"}, "headers must be a list or a set"),
        ({"headers": ["Authorization"]}, "must not hold 'Authorization'"),
        ({"headers": ["x-api-key"]}, "must not hold 'x-api-key'"),
        ({"headers": ["two words"]}, "must not hold 'two words'"),
        ({"field_names": {"status": "s"}}, "there is no 'status'"),
        ({"slow_after": 2}, "slow_after must be a positive timedelta; got 2"),
        ({"request_id_header": "Authorization"}, "not one of a secret"),
        ({"trust_request_id": "no"}, "trust_request_id must be True or False"),
        ({"query": "yes"}, "query must be True or False"),
        ({"level": "INFO"}, "level must be a function; got str"),
        ({"new_request_id": "x"}, "new_request_id must be a function"),
        ({"sink": logging.getLogger()}, "sink must be a function"),
        ({"field_names": {"url.path": "message"}}, "'message' is taken"),
        ({"field_names": {"url.path": "a", "http.route": "a"}}, "'a' is taken"),
        ({"slow_after": timedelta(0)}, "slow_after must be a positive timedelta"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], problem: str) -> None:
    """With words, when the configuration is made."""
    with pytest.raises(ConfigurationError, match=problem):
        RequestLogConfig(**options)


@pytest.mark.parametrize("config", [RequestLogConfig, {"query": True}, False])
def test_a_configuration_of_another_kind_is_refused(config: Any) -> None:
    """The class instead of an object, a dict, False: at start-up, not on every request."""
    with pytest.raises(ConfigurationError, match="takes a RequestLogConfig"):
        RequestLogMiddleware(FastAPI(), config)


@pytest.mark.parametrize("made", ["a\r\nSet-Cookie: x=1", "", "x" * 200, None, 7])
def test_an_id_that_cannot_be_sent_is_replaced(made: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What the application's maker returns goes into a header: junk there would cost the answer."""
    app, lines, _ = make(new_request_id=lambda: made)
    answer = TestClient(app).get("/health")
    assert answer.status_code == 200
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert lines[0][2]["request_id"] == answer.headers["x-request-id"]
    assert caplog.records[0].getMessage().startswith("RequestLogConfig.new_request_id failed: ")


@pytest.mark.parametrize("name", ["level", "sink"])
def test_a_function_of_the_log_that_raises_costs_no_request(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer is what it was, and the log names what failed."""
    app, _, _ = make(**{name: lambda *arguments: [][0]})
    assert TestClient(app).get("/health").status_code == 200
    assert [record.getMessage() for record in caplog.records] == ["The request log failed: IndexError in level or sink"]


def test_extra_fields_replace_none_of_the_logs_own() -> None:
    """One search by request id finds all, whatever the application adds."""
    app, lines, _ = make(extra=lambda scope: {"request_id": "fake", "time": 0, "message": "fake", "tenant": "acme"})
    answer = TestClient(app).get("/health")
    fields = lines[0][2]
    assert (fields["request_id"], fields["tenant"]) == (answer.headers["x-request-id"], "acme")
    assert not {"time", "message"} & fields.keys()
