"""Websockets: refused before they are accepted or closed with 4401, and ended with their token."""

import logging
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Security, WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from fastapi_patterns import Claims, TokenCodec, TokenConfig, make_current_user
from fastapi_patterns.auth import CsrfProtection, bearer_token, cookie_token
from fastapi_patterns.auth._sockets import end_with_token

SECRET = "S3cr3t-of-the-tests-0123456789-abc"
TOKENS = TokenCodec(TokenConfig(secret_key=SECRET))
ORIGIN = "https://shop.example"


def bearer(token: str | None = None, **claims: Any) -> dict[str, str]:
    """Headers with a token."""
    return {"Authorization": f"Bearer {token or TOKENS.encode({'sub': 7, **claims})}"}


def load(claims: Claims) -> str:
    """The subject is the user."""
    return claims.sub


def client_of(current: Any, scopes: tuple[str, ...] = (), seen: list[Any] | None = None) -> TestClient:
    """An application with a socket that echoes until it is closed."""
    app = FastAPI()

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, user: Annotated[Any, Security(current, scopes=list(scopes))]) -> None:
        await websocket.accept()
        await websocket.send_json(user)
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnect as left:
            if seen is not None:
                seen.append(left.code)

    return TestClient(app)


def test_a_good_token_opens_the_socket() -> None:
    """With the same dependency as a route."""
    with client_of(make_current_user(load, tokens=TOKENS)).websocket_connect("/socket", headers=bearer()) as opened:
        assert opened.receive_json() == "7"
        opened.send_text("hello")
        assert opened.receive_text() == "hello"


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (bearer("bad"), 401), (bearer(), 403)])
def test_a_bad_one_is_refused_before_the_accept(headers: dict[str, str], status: int) -> None:
    """The handshake gets the HTTP answer."""
    client = client_of(make_current_user(load, tokens=TOKENS), scopes=("write",))
    with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect("/socket", headers=headers):
        pass
    assert caught.value.status_code == status


@pytest.mark.parametrize(
    ("headers", "code", "reason"),
    [({}, 4401, "missing"), (bearer("bad"), 4401, "invalid"), (bearer(), 4403, "insufficient_scope")],
)
def test_or_after_it_by_choice(
    headers: dict[str, str], code: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With a code that scripts in a browser can read; the log says why."""
    client = client_of(make_current_user(load, tokens=TOKENS, accept_to_refuse=True), scopes=("write",))
    with (
        caplog.at_level(logging.INFO, "fastapi_patterns.auth"),
        client.websocket_connect("/socket", headers=headers) as opened,
        pytest.raises(WebSocketDisconnect) as caught,
    ):
        opened.receive_text()
    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert [record.reason.split(":")[0] for record in caplog.records] == ([] if reason == "missing" else [reason])  # type: ignore[attr-defined]


@pytest.mark.parametrize(("origin", "opens"), [(ORIGIN, True), ("https://evil.example", False), (None, False)])
def test_a_handshake_with_a_cookie_comes_from_our_pages(origin: str | None, opens: bool) -> None:
    """Browsers send cookies along with websockets of any page."""
    csrf = CsrfProtection(SECRET, allow_origins=[ORIGIN])
    client = client_of(make_current_user(load, tokens=TOKENS, sources=[bearer_token(), cookie_token("t", csrf=csrf)]))
    headers = {"Cookie": f"t={TOKENS.encode({'sub': 7})}"} | ({} if origin is None else {"Origin": origin})
    if opens:
        with client.websocket_connect("/socket", headers=headers) as opened:
            assert opened.receive_json() == "7"
    else:
        with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect("/socket", headers=headers):
            pass
        assert caught.value.status_code == 403


def test_a_socket_ends_with_its_token(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client reads 4401; whatever the route does next is a disconnect, and no error in the log."""
    opened_at: list[float] = []
    start = datetime(2030, 1, 1, tzinfo=UTC)

    def clock() -> datetime:
        """Stand still until the socket is open, however slow the machine is."""
        return start + timedelta(seconds=time.monotonic() - opened_at[0] if opened_at else 0)

    monkeypatch.setattr("fastapi_patterns.auth._base.end_with_token", partial(end_with_token, now=clock))
    short = TokenCodec(TokenConfig(secret_key=SECRET), now=clock)
    token = short.encode({"sub": 7}, expires_delta=timedelta(seconds=1))
    current = make_current_user(load, tokens=short)
    seen: list[Any] = []
    app = FastAPI()

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, user: Annotated[Any, Depends(current)]) -> None:
        await websocket.accept()
        opened_at.append(time.monotonic() - 0.95)
        for act in (websocket.receive_text, lambda: websocket.send_json(user)):
            try:
                await act()
            except WebSocketDisconnect as left:
                seen.append(left.reason)

    with (
        caplog.at_level(logging.INFO, "fastapi_patterns.auth"),
        TestClient(app).websocket_connect("/socket", headers=bearer(token)) as opened,
        pytest.raises(WebSocketDisconnect) as caught,
    ):
        opened.receive_text()
    assert (caught.value.code, caught.value.reason) == (4401, "the token has expired")
    assert seen[-1] == "the token has expired"
    assert "a websocket was closed" in caplog.records[-1].getMessage()


@pytest.mark.parametrize("answers", [[False, True], [False, False, True]])
def test_a_socket_ends_when_its_token_is_revoked(answers: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook is asked again while the socket is open."""
    monkeypatch.setattr("fastapi_patterns.auth._sockets._LOOK_S", 0.01)
    client = client_of(make_current_user(load, tokens=TOKENS, revoked=lambda _: answers.pop(0)))
    with client.websocket_connect("/socket", headers=bearer()) as opened:
        assert opened.receive_json() == "7"
        with pytest.raises(WebSocketDisconnect) as caught:
            opened.receive_text()
    assert (caught.value.code, caught.value.reason) == (4401, "the token was revoked")
    assert answers == []


def test_a_socket_ends_when_the_store_cannot_be_asked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody stays in on a guess; the log has the reason."""
    monkeypatch.setattr("fastapi_patterns.auth._sockets._LOOK_S", 0.01)
    answers: list[Any] = [False, OSError("the store is down")]

    async def revoked(_claims: Claims) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    client = client_of(make_current_user(load, tokens=TOKENS, revoked=revoked))
    with (
        client.websocket_connect("/socket", headers=bearer()) as opened,
        pytest.raises(WebSocketDisconnect) as caught,
    ):
        assert opened.receive_json() == "7"
        opened.receive_text()
    assert (caught.value.code, caught.value.reason) == (1011, "authentication is not available")
    assert "cannot be told" in caplog.text
