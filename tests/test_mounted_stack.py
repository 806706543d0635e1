"""A stack inside a stack: one id, one line, and each application answers its own errors."""

import logging
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.testclient import TestClient

from fastapi_patterns import AppException, RequestLogConfig, install_stack
from fastapi_patterns.context import get_request_id
from fastapi_patterns.errors import EnvelopeRenderer, ProblemRenderer

ORIGIN, INNER_ORIGIN = "https://app.example", "https://inner.example"


def make_app(*, inner: dict[str, Any] | None = None, **outer: Any) -> FastAPI:
    """An application with a stack, mounted in one with another."""
    inside, outside = FastAPI(), FastAPI()
    install_stack(inside, **(inner or {}))
    install_stack(outside, **outer)

    @inside.get("/id/{number}")
    async def ids(number: int, request: Request) -> list[str | None]:
        return [get_request_id(), request.state.request_id]

    @inside.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret")

    @inside.get("/taken")
    async def taken() -> None:
        raise AppException(409, "taken")

    @inside.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json([get_request_id(), websocket.state.request_id])
        await websocket.close()

    outside.mount("/inner", inside)
    return outside


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """The request log."""
    return [record for record in caplog.records if record.name == "fastapi_patterns.request"]


def quiet(app: FastAPI, **headers: str) -> TestClient:
    """A client that takes the 500 instead of the exception."""
    return TestClient(app, raise_server_exceptions=False, headers=headers)


@pytest.mark.parametrize("trusts", [True, False])
def test_one_id_and_one_line(trusts: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The id of the outermost stack is that of the route, the log and the client, also where no stack trusts one."""
    config = RequestLogConfig(trust_request_id=trusts, new_request_id=lambda: "made-outside")
    app = make_app(request_log=config, inner={"request_log": RequestLogConfig(trust_request_id=trusts)})
    with caplog.at_level(logging.INFO, logger="fastapi_patterns"):
        answer = quiet(app).get("/inner/id/7", headers={"X-Request-ID": "request-1"})
    expected = "request-1" if trusts else "made-outside"
    assert (answer.status_code, answer.json()) == (200, [expected, expected])
    assert answer.headers.get_list("x-request-id") == [expected]
    (line,) = lines(caplog)
    assert line.getMessage().startswith("GET /inner/id/7 - ")
    assert line.request_id == expected  # type: ignore[attr-defined]
    assert line.fields["http.route"] == "/inner/id/{number}"  # type: ignore[attr-defined]


def test_a_websocket_has_the_id_too() -> None:
    """Of the outermost stack."""
    app = make_app(inner={"request_log": RequestLogConfig(trust_request_id=False)})
    with TestClient(app).websocket_connect("/inner/socket", headers={"X-Request-ID": "request-1"}) as websocket:
        assert websocket.receive_json() == ["request-1", "request-1"]


def test_the_inner_application_answers_its_errors(caplog: pytest.LogCaptureFixture) -> None:
    """In its own shape, with the id and the CORS headers of the outer one; the exception goes on to the server."""
    app = make_app(renderer=EnvelopeRenderer(), allow_origins=[ORIGIN], inner={"renderer": ProblemRenderer()})
    client = quiet(app, **{"Origin": ORIGIN, "X-Request-ID": "request-1"})
    with caplog.at_level(logging.INFO, logger="fastapi_patterns"):
        for path, status in (("/inner/taken", 409), ("/inner/broken", 500)):
            answer = client.get(path)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == status
            assert "secret" not in answer.text
            assert answer.headers["x-request-id"] == "request-1"
            assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert [line.getMessage()[-3:] for line in lines(caplog)] == ["409", "500"]
    with pytest.raises(RuntimeError, match="secret"):
        TestClient(app).get("/inner/broken")


def test_cors_of_the_outermost_answers_preflights() -> None:
    """Where the outer application has CORS, its list counts; where it has none, the inner one's does."""
    asked = {"Access-Control-Request-Method": "GET"}
    inner = {"allow_origins": [INNER_ORIGIN]}
    both = quiet(make_app(allow_origins=[ORIGIN], inner=inner), **asked)
    assert both.options("/inner/id/7", headers={"Origin": ORIGIN}).status_code == 200
    assert both.options("/inner/id/7", headers={"Origin": INNER_ORIGIN}).status_code == 400
    inside_only = quiet(make_app(inner=inner), **asked)
    answer = inside_only.options("/inner/id/7", headers={"Origin": INNER_ORIGIN, "X-Request-ID": "request-1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "request-1")
    assert answer.headers["access-control-allow-origin"] == INNER_ORIGIN
    assert inside_only.options("/inner/id/7", headers={"Origin": ORIGIN}).status_code == 400


def test_in_an_application_without_a_stack() -> None:
    """The inner stack does it all."""
    inside, outside = FastAPI(), FastAPI()
    install_stack(inside)
    outside.mount("/inner", inside)
    answer = quiet(outside).get("/inner/nothing", headers={"X-Request-ID": "request-1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (404, "request-1")


def test_an_error_inside_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """The exception goes through both catch-alls; the second one knows that it has been logged."""
    client = TestClient(make_app(), raise_server_exceptions=False)
    for _ in range(2):
        assert client.get("/inner/broken").status_code == 500
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["Unhandled RuntimeError"] * 2
