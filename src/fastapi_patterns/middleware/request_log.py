"""One log line a request, written when the last byte has gone out, and the request's id in and out."""

import logging
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_patterns._compat import route_template
from fastapi_patterns.context import request_id_var
from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["RequestLogConfig", "RequestLogMiddleware"]

_log = logging.getLogger("fastapi_patterns.request")

# What an incoming id may look like: anything else could forge log lines or fill them up.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# Characters that a path shows as they are; every other one is percent-encoded, so that no line break, escape
# sequence or bidi mark reaches the log (CWE-117).
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/_.~:@!$&'()*+,;=-]*")
_MAX_PATH = 2048


def _new_request_id() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLogConfig:
    """How requests are identified and logged.

    Args:
        request_id_header: The header that carries the id, in and out.
        trust_request_id: Keep an incoming id of 8 to 64 characters from `A-Z a-z 0-9 . _ -`. Switch it off where
            clients, not a proxy of your own, choose it.
        new_request_id: Makes an id; 128 random bits in hex by default.
        clock: Seconds that only go forward.

    Raises:
        ConfigurationError: The header is not an HTTP header name.
    """

    request_id_header: str = "X-Request-ID"
    trust_request_id: bool = True
    new_request_id: Callable[[], str] = _new_request_id
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        if not _HEADER_NAME.fullmatch(self.request_id_header):
            raise ConfigurationError(f"request_id_header must be an HTTP header name; got {self.request_id_header!r}")


class RequestLogMiddleware:
    """Logs `GET /path - 0.123s 200` with the request id, to the logger `fastapi_patterns.request`.

    The time is that of the whole answer: until the last byte of a stream, without background tasks. An unhandled
    error is logged as a 500. The fields of the record carry OpenTelemetry's names; `configure_logging` writes them
    as text or JSON. The query string is never logged.

    Args:
        app: The application inside.
        config: `RequestLogConfig()` by default.
    """

    def __init__(self, app: ASGIApp, config: RequestLogConfig | None = None) -> None:
        self.app = app
        self.config = RequestLogConfig() if config is None else config
        self._header = self.config.request_id_header.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request_id = self._request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        token = request_id_var.set(request_id)
        try:
            if scope["type"] == "http":
                await self._logged(scope, receive, send, request_id)
            else:
                await self.app(scope, receive, send)
        finally:
            request_id_var.reset(token)

    async def _logged(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        line = _Line(scope, request_id, self.config.clock)
        raw_id = request_id.encode("latin-1")

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                line.status = message["status"]
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != self._header]
                message = {**message, "headers": [*headers, (self._header, raw_id)]}
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                line.write()

        try:
            await self.app(scope, receive, watched)
        except Exception:
            line.status = line.status or 500  # the server's answer, outside this middleware
            raise
        finally:
            line.write()

    def _request_id(self, scope: Scope) -> str:
        if self.config.trust_request_id:
            found = [value for name, value in scope["headers"] if name == self._header]  # ASGI names are lower-case
            if len(found) == 1 and _REQUEST_ID.fullmatch(found[0]):
                return str(found[0], "ascii")
        return self.config.new_request_id()


class _Line:
    """The log line of one request; `write` writes it once."""

    __slots__ = ("_clock", "_path", "_request_id", "_root", "_scope", "_started", "_written", "status")

    def __init__(self, scope: Scope, request_id: str, clock: Callable[[], float]) -> None:
        self._scope = scope
        self._request_id = request_id
        self._path = _plain(scope["path"])
        self._root = scope.get("root_path", "")  # a mount changes the scope's own in place
        self._clock = clock
        self._started = clock()
        self._written = False
        self.status: int | None = None

    def write(self) -> None:
        if self._written:
            return
        self._written = True
        if not _log.isEnabledFor(logging.INFO):
            return
        duration = self._clock() - self._started
        scope = self._scope
        status = 0 if self.status is None else self.status  # 0: the client left before there was an answer
        fields: dict[str, Any] = {
            "http.request.method": _plain(scope["method"]),
            "url.path": self._path,
            "http.route": route_template(scope, self._root),
            "http.response.status_code": status,
            "http.server.request.duration": round(duration, 6),
            "client.address": (scope.get("client") or (None,))[0],
            "user.id": scope.get("state", {}).get("user_id"),
        }
        # As `_log.info`, without the walk up the stack for a caller that is always this line.
        record = _log.makeRecord(
            _log.name,
            logging.INFO,
            __file__,
            0,
            "%s %s - %.3fs %d",
            (fields["http.request.method"], self._path, duration, status),
            None,
            extra={"request_id": self._request_id, "fields": fields},
        )
        _log.handle(record)


def _plain(text: str) -> str:
    shown = text if _PLAIN_PATH.fullmatch(text) else quote(text, safe="/:@!$&'()*+,;=~", errors="replace")
    return shown if len(shown) <= _MAX_PATH else f"{shown[:_MAX_PATH]}..."
