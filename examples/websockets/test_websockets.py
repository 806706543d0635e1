"""Who gets a socket, and when it ends."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from examples.websockets.app import tokens

ORIGIN = {"Origin": "https://shop.example"}


def token(**settings: Any) -> str:
    """A token of Ada's."""
    return tokens.encode({"sub": 1}, **settings)


@pytest.mark.parametrize("place", ["header", "cookie", "query"])
def test_a_token_opens_a_socket(client: TestClient, place: str) -> None:
    """Wherever it is."""
    headers = {
        "header": {"Authorization": f"Bearer {token()}"},
        "cookie": {"Cookie": f"__Host-session={token()}", **ORIGIN},
        "query": {},
    }[place]
    url = f"/chat?token={token()}" if place == "query" else "/chat"
    with client.websocket_connect(url, headers=headers) as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "ada: hello"


@pytest.mark.parametrize(
    ("headers", "code", "reason"),
    [
        ({}, 4401, "missing"),
        ({"Authorization": "Bearer nonsense"}, 4401, "invalid"),
        ({"Cookie": f"__Host-session={token()}", "Origin": "https://evil.example"}, 4403, "cross_site"),
    ],
)
def test_a_refusal_has_a_code(client: TestClient, headers: dict[str, str], code: int, reason: str) -> None:
    """That scripts can read: 4000 and the HTTP status."""
    with (
        client.websocket_connect("/chat", headers=headers) as socket,
        pytest.raises(WebSocketDisconnect) as closed,
    ):
        socket.receive_text()
    assert (closed.value.code, closed.value.reason) == (code, reason)


def test_a_socket_ends_with_its_token(client: TestClient) -> None:
    """Whatever the route is waiting for."""
    headers = {"Authorization": f"Bearer {token(expires_delta=timedelta(seconds=1))}"}
    with (
        client.websocket_connect("/chat", headers=headers) as socket,
        pytest.raises(WebSocketDisconnect) as closed,
    ):
        socket.receive_text()
    assert (closed.value.code, closed.value.reason) == (4401, "the token has expired")


def test_a_token_in_the_query_opens_no_route(client: TestClient) -> None:
    """URLs of requests end in logs and histories."""
    assert client.get(f"/me?token={token()}").status_code == 401
