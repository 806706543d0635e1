"""A WebSocket whose parameters are wrong is closed with a reason that fits, and that repeats nothing."""

from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Header, Query, WebSocket
from fastapi.testclient import TestClient
from pydantic import AfterValidator
from starlette.websockets import WebSocketDisconnect

from fastapi_patterns import install_error_handlers, install_stack
from fastapi_patterns.errors.validation import close_reason

SECRET = "hunter2-hunter2"


def quote(value: str) -> str:
    """Refuse with the value in the text."""
    raise ValueError(f"{value!r} is weak")


def explain(value: str) -> str:
    """Refuse at length, in letters of several bytes."""
    raise ValueError("ü" * 200)


@pytest.fixture(params=[install_error_handlers, install_stack])
def client(request: pytest.FixtureRequest) -> TestClient:
    """An application with one WebSocket, by itself and with the whole stack."""
    app = FastAPI()
    request.param(app)

    @app.websocket("/rooms/{room}")
    async def room(
        websocket: WebSocket,
        room: int,
        token: Annotated[str | None, Query(max_length=4)] = None,
        quoted: Annotated[str | None, AfterValidator(lambda value: quote(value) if value else value)] = None,
        long: Annotated[str | None, AfterValidator(lambda value: explain(value) if value else value)] = None,
        x_count: Annotated[int, Header()] = 0,
    ) -> None:
        await websocket.accept()
        await websocket.send_text("fine")
        await websocket.close()

    return TestClient(app)


@pytest.mark.parametrize(
    ("path", "headers", "reason"),
    [
        ("/rooms/x", {}, "path.room: Input should be a valid integer, unable to parse string as an integer"),
        (f"/rooms/1?token={SECRET}", {}, "query.token: String should have at most 4 characters"),
        (f"/rooms/1?quoted={SECRET}", {}, "query.quoted: Invalid value"),
        ("/rooms/1", {"X-Count": SECRET}, "header.x-count: Input should be a valid integer"),
    ],
)
def test_the_reason_is_the_first_field(client: TestClient, path: str, headers: dict[str, str], reason: str) -> None:
    """1008, the field and the message, as in a 422."""
    with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect(path, headers=headers):
        pass
    assert closed.value.code == 1008
    assert closed.value.reason.startswith(reason)
    assert SECRET not in closed.value.reason


def test_a_long_reason_is_cut_between_letters(client: TestClient) -> None:
    """The close frame has room for 123 bytes (RFC 6455 section 5.5), and half a letter is no UTF-8."""
    with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/rooms/1?long=x"):
        pass
    assert 121 < len(closed.value.reason.encode()) <= 123
    assert closed.value.reason == "query.long: Value error, " + "ü" * 49


def test_good_parameters_connect(client: TestClient) -> None:
    """Nothing changes for them."""
    with client.websocket_connect("/rooms/1") as websocket:
        assert websocket.receive_text() == "fine"


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ([], "Invalid request"),
        ([{"loc": ("query", "\ud800"), "msg": "a\ud800"}], "query.?: a?"),
        ([{"loc": ("query", "k" * 500), "msg": "never read"}], ("query." + "k" * 500)[:123]),
        ([{"loc": ("query", "🦊" * 50), "msg": "m"}], "query." + "🦊" * 29),
        (
            [{"type": "value_error", "loc": ("query", "a"), "msg": "m", "ctx": {"error": ValueError(SECRET)}}],
            "query.a: m",
        ),
    ],
)
def test_any_error_makes_a_reason(errors: Any, reason: str) -> None:
    """None, lone surrogates, endless keys and whatever is in `ctx`."""
    assert close_reason(errors) == reason
