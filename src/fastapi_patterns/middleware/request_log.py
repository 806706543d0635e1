"""One log line a request, written when the last byte has gone out, and the request's id in and out."""

import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import NoneType
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_patterns._compat import current_span
from fastapi_patterns.context import request_state_var
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.middleware._line import FIELDS, HEADER_FIELD, OF_THE_LINE, Line
from fastapi_patterns.middleware._redact import is_secret_name

__all__ = ["LineSink", "RequestLogConfig", "RequestLogMiddleware"]

_errors = logging.getLogger("fastapi_patterns.errors")

LineSink = Callable[[int, str, dict[str, Any]], None]
"""Takes a line instead of `logging`: its level, its text, and its fields by name."""

# What an incoming id may look like: anything else could forge log lines or fill them up.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_MADE_ID = re.compile(r"[\x21-\x7e]{1,128}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# W3C Trace Context, section 3.2: version, trace, parent, flags; all-zero ids and the version ff are not valid.
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SEEN = "fastapi_patterns.request_log"
_INTERNAL_ERROR = 1011
_NO_CLOSE_FRAME = 1006  # RFC 6455 section 7.4.1


def _new_request_id() -> str:
    return os.urandom(16).hex()


def _level_of(status: int) -> int:
    # An unhandled error has its own ERROR record, with the traceback; its request line is no second one.
    return logging.WARNING if status >= 500 else logging.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLogConfig:
    """How requests are identified and logged.

    Args:
        request_id_header: The header that carries the id, in and out.
        trust_request_id: Keep an incoming id of 8 to 64 characters from `A-Z a-z 0-9 . _ -`. Switch it off where
            clients, not a proxy of your own, choose it.
        new_request_id: Makes an id; 128 random bits in hex by default.
        skip: Paths or route templates that are not logged, such as `{"/health"}`, unless they end with 500 or above.
        level: The `logging` level of a status; WARNING from 500 by default, else INFO. The status is 0 when the client
            left before there was one.
        slow_after: Requests that take longer are logged at WARNING at least.
        query: Log the query string. Values are replaced by `[redacted]` where the name (`token`, `code`, `api_key`) or
            the form (a JWT) says that they are secret.
        headers: Request headers to log, such as `("accept-language", "referer")`. Of a Referer only the origin is
            logged. Names that hold secrets are refused.
        field_names: Renames fields, `{"http.response.status_code": "status"}`; None leaves one out.
        extra: More fields, from the ASGI scope after the request: `lambda scope: {"tenant": scope["state"]["tenant"]}`.
            They replace none of the log's own.
        sink: Takes each line instead of the logger `fastapi_patterns.request`: `fastapi_patterns.logs.JsonLines()` or
            a function of its level, text and fields. The default is `logging`, since an application's handlers,
            levels and test tools hang on it.
        clock: Seconds that only go forward.

    Raises:
        ConfigurationError: A header is not an HTTP header name or holds secrets, a field to rename does not exist, or
            `slow_after` is not positive.
    """

    request_id_header: str = "X-Request-ID"
    trust_request_id: bool = True
    new_request_id: Callable[[], str] = _new_request_id
    skip: Collection[str] = ()
    level: Callable[[int], int] = _level_of
    slow_after: timedelta | None = None
    query: bool = False
    headers: Collection[str] = ()
    field_names: Mapping[str, str | None] = field(default_factory=dict)
    extra: Callable[[Scope], Mapping[str, Any]] | None = None
    sink: LineSink | None = None
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        if not _HEADER_NAME.fullmatch(self.request_id_header) or is_secret_name(self.request_id_header):
            raise ConfigurationError(
                f"request_id_header must be an HTTP header name, not one of a secret; got {self.request_id_header!r}"
            )
        for name in ("trust_request_id", "query"):
            if not isinstance(getattr(self, name), bool):  # the text "no" would count as true
                raise ConfigurationError(f"{name} must be True or False; got {getattr(self, name)!r}")
        for name in ("new_request_id", "level", "clock", "extra", "sink"):
            value = getattr(self, name)
            if not callable(value) and not (value is None and name in ("extra", "sink")):
                raise ConfigurationError(f"{name} must be a function; got {type(value).__name__}")
        for name, value in (("skip", self.skip), ("headers", self.headers)):
            if isinstance(value, str):
                raise ConfigurationError(f"{name} must be a list or a set, such as ({value!r},); got a plain string")
        for header in self.headers:
            if not _HEADER_NAME.fullmatch(header) or is_secret_name(header):
                raise ConfigurationError(f"headers must not hold {header!r}: it is no header name, or holds a secret")
        unknown = [name for name in self.field_names if name not in FIELDS and not name.startswith(HEADER_FIELD)]
        if unknown:
            raise ConfigurationError(f"field_names: there is no {unknown[0]!r}; there are {', '.join(sorted(FIELDS))}")
        new_names = [name for name in self.field_names.values() if name is not None]
        if taken := OF_THE_LINE.intersection(new_names) or {name for name in new_names if new_names.count(name) > 1}:
            raise ConfigurationError(f"field_names: {sorted(taken)[0]!r} is taken; choose another name")
        if self.slow_after is not None and not (
            isinstance(self.slow_after, timedelta) and self.slow_after > timedelta(0)
        ):
            raise ConfigurationError(f"slow_after must be a positive timedelta; got {self.slow_after!r}")


class RequestLogMiddleware:
    """Logs `GET /path - 0.123s 200` with the request id, to the logger `fastapi_patterns.request`.

    The time is that of the whole answer: until the last byte of a stream, without background tasks. An unhandled
    error is logged as a 500; a websocket has one line when it closes. The fields of the record carry OpenTelemetry's
    names; `configure_logging` writes them as text or JSON. A request that a log outside this one has seen, one to a
    mounted application for example, passes through: it has one id and one line.

    Args:
        app: The application inside.
        config: `RequestLogConfig()` by default.
    """

    def __init__(self, app: ASGIApp, config: RequestLogConfig | None = None) -> None:
        if not isinstance(config, (RequestLogConfig, NoneType)):
            raise ConfigurationError(f"the request log takes a RequestLogConfig(...); got {config!r}")
        self.app = app
        self.config = RequestLogConfig() if config is None else config
        self._id_header = self.config.request_id_header.lower().encode()
        self._wanted = {
            self._id_header,
            b"traceparent",
            b"user-agent",
            *(name.lower().encode() for name in self.config.headers),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        kind = scope["type"]
        if kind not in ("http", "websocket") or _SEEN in scope:
            await self.app(scope, receive, send)
            return
        scope[_SEEN] = True
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:  # ASGI names are lower-case
            if name in self._wanted:  # one that is sent twice is joined, as RFC 9110 section 5.3 says
                headers[name] = headers[name] + b", " + value if name in headers else value
        state = scope.setdefault("state", {})
        self._identify(state, headers)
        line = Line(self.config, scope, state, headers)
        token = request_state_var.set(state)
        watched = self._watched if kind == "http" else self._watched_socket
        try:
            await self.app(scope, *watched(line, state["request_id"], receive, send))
        except Exception as error:
            line.error = type(error).__qualname__
            line.status = line.status or 500  # the server's answer, outside this middleware
            if line.status == 101 and line.close_code is None:
                line.close_code = _INTERNAL_ERROR  # what servers close a broken websocket with
            raise
        finally:
            line.write()
            request_state_var.reset(token)

    def _identify(self, state: dict[str, Any], headers: Mapping[bytes, bytes]) -> None:
        """Put the request's id, and its trace if it has one, into the request's state."""
        sent = headers.get(self._id_header)
        if sent is not None and self.config.trust_request_id and _REQUEST_ID.fullmatch(sent):
            state["request_id"] = str(sent, "ascii")
        else:
            state["request_id"] = self._new_id()
        parent = headers.get(b"traceparent")
        if parent is not None and (valid := _TRACEPARENT.fullmatch(parent)):
            state["traceparent"], state["trace_id"] = str(parent, "ascii"), str(valid[1], "ascii")
        if span := current_span():
            state["trace_id"], state["span_id"] = span

    def _new_id(self) -> str:
        """Make an id. One that could not be sent, or none, must not cost the request."""
        if self.config.new_request_id is _new_request_id:
            return _new_request_id()
        try:
            made = self.config.new_request_id()
            if _MADE_ID.fullmatch(made):
                return made
            problem = "what it returned is no header value of 1 to 128 characters"
        except Exception as error:
            problem = type(error).__qualname__
        _errors.error("RequestLogConfig.new_request_id failed: %s", problem)
        return _new_request_id()

    def _watched(self, line: Line, request_id: str, receive: Receive, send: Send) -> tuple[Receive, Send]:
        clock, name, value = self.config.clock, self._id_header, request_id.encode("latin-1")

        async def watched_receive() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                line.body_in += len(message.get("body", b""))
            elif message["type"] == "http.disconnect" and not line.complete:
                line.disconnected = True
            return message

        async def watched_send(message: Message) -> None:
            kind = message["type"]
            if kind == "http.response.start":
                line.status = message["status"]
                message["headers"] = _with(message.get("headers"), name, value)
                await send(message)
                line.first_byte = clock()
                return
            if kind == "http.response.body":
                line.body_out += len(message.get("body", b""))
                line.complete = not message.get("more_body", False)
            elif kind == "http.response.pathsend":  # the server sends a file by itself
                line.complete = True
            await send(message)
            if line.complete:
                line.write()

        return watched_receive, watched_send

    def _watched_socket(self, line: Line, request_id: str, receive: Receive, send: Send) -> tuple[Receive, Send]:
        name, value = self._id_header, request_id.encode("latin-1")

        async def watched_receive() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect" and line.close_code is None:
                line.close_code = message.get("code", 1005)
                line.disconnected = line.close_code == _NO_CLOSE_FRAME
            return message

        async def watched_send(message: Message) -> None:
            kind = message["type"]
            if kind in ("websocket.accept", "websocket.http.response.start"):  # the latter is a refusal with a body
                line.status = message.get("status", 101)
                message["headers"] = _with(message.get("headers"), name, value)
            elif kind == "websocket.close" and line.status == 101:
                line.close_code = message.get("code", 1000)
            elif kind == "websocket.close":
                line.status = 403  # what servers answer to a close before the handshake is accepted
            await send(message)

        return watched_receive, watched_send


def _with(headers: Iterable[tuple[bytes, bytes]] | None, name: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
    # A new list: the application may use one response object for many requests.
    changed = [pair for pair in headers or () if pair[0] != name]
    changed.append((name, value))
    return changed
