"""What becomes of a websocket that is watched and ends by itself."""

import asyncio
import gc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.websockets import WebSocket, WebSocketState

from fastapi_patterns.auth._sockets import end_with_token
from fastapi_patterns.security import Claims

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CLAIMS = Claims({"sub": "7", "exp": NOW.timestamp()})


def socket(sent: list[Any]) -> WebSocket:
    """A websocket that keeps what is sent."""

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    return WebSocket({"type": "websocket", "headers": [], "path": "/"}, receive, send)


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.asyncio
@pytest.mark.asyncio
@pytest.mark.parametrize("state", ["client_state", "application_state"])
async def test_a_socket_that_has_ended_is_left_alone(state: str) -> None:
    """Closed by either side."""
    sent: list[Any] = []
    watched = socket(sent)
    setattr(watched, state, WebSocketState.DISCONNECTED)
    end_with_token(watched, CLAIMS, is_revoked=None, now=lambda: NOW)
    await _turns()
    assert sent == []


@pytest.mark.asyncio
async def test_a_socket_is_not_kept_alive() -> None:
    """Whoever dropped it hears nothing of it."""
    sent: list[Any] = []
    watched = socket(sent)
    end_with_token(watched, CLAIMS, is_revoked=None, now=lambda: NOW)
    del watched
    gc.collect()
    await _turns()
    assert sent == []


@pytest.mark.asyncio
async def test_a_socket_that_lives_is_closed() -> None:
    """The control: the same watch closes one that is there."""
    sent: list[Any] = []
    watched = socket(sent)
    await watched.receive()
    end_with_token(watched, CLAIMS, is_revoked=None, now=lambda: NOW + timedelta(seconds=1))
    await _turns()
    assert [message["code"] for message in sent] == [4401]


@pytest.mark.asyncio
async def test_a_client_that_leaves_at_the_same_moment_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """What the server raises then ends nowhere."""

    async def broken(_message: Any) -> None:
        raise OSError("gone")

    watched = socket([])
    await watched.accept()
    watched._send = broken  # the server's side of it
    end_with_token(watched, CLAIMS, is_revoked=None, now=lambda: NOW)
    await _turns()
    gc.collect()
    assert "never retrieved" not in caplog.text
    assert watched.application_state is WebSocketState.DISCONNECTED
