"""Websockets that end when their token does (or is revoked), since nobody asks for it again."""

import asyncio
import contextlib
import logging
import weakref
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from fastapi_patterns._clock import utc_now
from fastapi_patterns.auth._events import log_event
from fastapi_patterns.security import Claims

__all__ = ["end_with_token"]

_log = logging.getLogger("fastapi_patterns.auth")

CLOSE_CODE = 4401
_UNAVAILABLE = 1011  # an error of the server (RFC 6455 section 7.4.1)
# Seconds between two looks at whether the token was revoked.
_LOOK_S = 30.0


def end_with_token(
    websocket: WebSocket,
    claims: Claims,
    *,
    is_revoked: Callable[[Claims], Any] | None,
    now: Callable[[], datetime] = utc_now,
) -> None:
    """Close a websocket with 4401 at the token's `exp`, or soon after it was revoked.

    The route sees a `WebSocketDisconnect` from whatever it does next. A socket that has ended is not kept alive.
    """
    _Watch(websocket, claims, is_revoked, now).schedule()


class _Watch:
    def __init__(
        self,
        websocket: WebSocket,
        claims: Claims,
        is_revoked: Callable[[Claims], Any] | None,
        now: Callable[[], datetime],
    ) -> None:
        self._websocket = weakref.ref(websocket)
        self._claims = claims
        self._is_revoked = is_revoked
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    def schedule(self) -> None:
        left = (self._claims.expires_at - self._now()).total_seconds()
        self._loop.call_later(max(left, 0) if self._is_revoked is None else min(max(left, 0), _LOOK_S), self._look)

    def _look(self) -> None:
        websocket = self._websocket()
        if websocket is not None and websocket.client_state is not WebSocketState.DISCONNECTED:
            self._task = self._loop.create_task(self._check(websocket))

    async def _check(self, websocket: WebSocket) -> None:
        if self._now() >= self._claims.expires_at:
            await _end(websocket, self._claims, CLOSE_CODE, "the token has expired")
            return
        try:
            revoked = self._is_revoked is not None and await self._is_revoked(self._claims)
        except Exception:  # whatever the store raises when it is down: nobody stays in on a guess
            _log.exception("whether the token of a websocket was revoked cannot be told")
            await _end(websocket, self._claims, _UNAVAILABLE, "authentication is not available")
            return
        if revoked:
            await _end(websocket, self._claims, CLOSE_CODE, "the token was revoked")
        else:
            self.schedule()


async def _end(websocket: WebSocket, claims: Claims, code: int, why: str) -> None:
    if websocket.application_state is WebSocketState.DISCONNECTED:
        return
    log_event("auth.failure", reason=f"a websocket was closed: {why}", user_id=claims.sub)
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):  # it has ended meanwhile
        await websocket.close(code, why)

    async def send(_message: Any) -> None:
        raise WebSocketDisconnect(code, why)

    async def receive() -> Any:
        raise WebSocketDisconnect(code, why)

    websocket.receive = receive  # type: ignore[method-assign]
    websocket.send = send  # type: ignore[assignment,method-assign]  # Starlette's would raise a RuntimeError, a 500 in the log
