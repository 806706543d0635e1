"""The line of one request: what was seen of it, and the fields that are written."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

from fastapi_patterns._compat import route_template
from fastapi_patterns._scrub import scrub
from fastapi_patterns.context import ERROR_TYPE
from fastapi_patterns.middleware._redact import plain, redact_header, redact_path, redact_query

if TYPE_CHECKING:
    from fastapi_patterns.middleware.request_log import RequestLogConfig

__all__ = ["FIELDS", "HEADER_FIELD", "OF_THE_LINE", "Line"]

_log = logging.getLogger("fastapi_patterns.request")
_errors = logging.getLogger("fastapi_patterns.errors")

# Names of OpenTelemetry's semantic conventions (HTTP spans and general attributes) where there is one.
FIELDS = frozenset(
    {
        "http.request.method", "url.path", "http.route", "http.response.status_code", "http.server.request.duration",
        "http.server.time_to_first_byte", "http.request.body.size", "http.response.body.size", "client.address",
        "user_agent.original", "url.query", "request_id", "trace_id", "span_id", "user.id", "error.type",
        "client_disconnected", "websocket.close_code",
    }
)  # fmt: skip
HEADER_FIELD = "http.request.header."
# What a written line has besides its fields.
OF_THE_LINE = frozenset({"time", "level", "logger", "message", "exception", "truncated"})

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "WEBSOCKET"})


class Line:
    """What was seen of a request so far; `write` makes the line of it, once.

    Args:
        config: What to log.
        scope: The ASGI scope.
        state: The request's `state`, with its id.
        headers: The request headers that matter, by name.
    """

    __slots__ = (
        "_config", "_headers", "_root", "_scope", "_started", "_state", "_written", "body_in", "body_out",
        "close_code", "complete", "disconnected", "error", "first_byte", "status",
    )  # fmt: skip

    def __init__(
        self, config: "RequestLogConfig", scope: Scope, state: Mapping[str, Any], headers: Mapping[bytes, bytes]
    ) -> None:
        self._config = config
        self._scope = scope
        self._state = state
        self._headers = headers
        self._root = scope.get("root_path", "")  # a mount changes the scope's own in place
        self._written = self.complete = self.disconnected = False
        self.status = self.body_in = self.body_out = 0  # status 0: the client left before there was an answer
        self.first_byte: float | None = None
        self.error: str | None = None
        self.close_code: int | None = None
        self._started = config.clock()

    def write(self) -> None:
        """Write the line, unless it has been written. What the application's functions raise costs no request."""
        if self._written:
            return
        self._written = True
        try:
            self._write()
        except Exception as error:
            _errors.error(
                "The request log failed: %s in level or sink", type(error).__qualname__, exc_info=scrub(error)
            )

    def _write(self) -> None:
        config, status = self._config, self.status
        duration = config.clock() - self._started
        level = config.level(status)
        if self._scope["type"] == "websocket" and self.error is not None:
            level = max(level, logging.WARNING)  # its status is that of the handshake
        if config.slow_after is not None and duration > config.slow_after.total_seconds():
            level = max(level, logging.WARNING)
        sink = config.sink
        if sink is None and not _log.isEnabledFor(level):
            return
        scope = self._scope
        route = route_template(scope, self._root)
        if config.skip and status < 500 and (scope["path"] in config.skip or route in config.skip):
            return
        parameters = scope.get("path_params")
        path = redact_path(scope["path"], parameters) if parameters else plain(scope["path"])
        method = scope["method"] if scope["type"] == "http" else "WEBSOCKET"
        if method not in _METHODS:
            method = plain(method)
        fields = self._fields(method, path, route, duration)
        outcome = status if self.close_code is None else self.close_code
        if sink is not None:
            sink(level, f"{method} {path} - {duration:.3f}s {outcome}", fields)
            return
        # As `_log.log`, without the walk up the stack for a caller that is always this line.
        values = (method, path, duration, outcome)
        extra = {"request_id": self._state["request_id"], "trace_id": self._state.get("trace_id"), "fields": fields}
        _log.handle(_log.makeRecord(_log.name, level, __file__, 0, "%s %s - %.3fs %d", values, None, extra=extra))

    def _fields(self, method: str, path: str, route: str | None, duration: float) -> dict[str, Any]:
        state, config = self._state, self._config
        client = self._scope.get("client")
        fields: dict[str, Any] = {
            "request_id": state["request_id"],
            "http.request.method": method,
            "url.path": path,
            "http.route": route,
            "http.response.status_code": self.status,
            "http.server.request.duration": int(duration * 1e6) / 1e6,
            "http.request.body.size": self.body_in,
            "http.response.body.size": 0 if method == "HEAD" else self.body_out,
            "client.address": client[0] if client else None,
        }
        if route is None:
            del fields["http.route"]
        if self.first_byte is not None:
            fields["http.server.time_to_first_byte"] = int((self.first_byte - self._started) * 1e6) / 1e6
        if agent := self._headers.get(b"user-agent"):
            fields["user_agent.original"] = redact_header("user-agent", agent.decode("latin-1"))
        if "trace_id" in state:
            fields["trace_id"] = state["trace_id"]
            if "span_id" in state:
                fields["span_id"] = state["span_id"]
        if (user_id := state.get("user_id")) is not None:
            fields["user.id"] = str(user_id)
        if self.status >= 500 or self.error is not None:  # as OpenTelemetry has it: the status where nothing was raised
            fields["error.type"] = self.error or state.get(ERROR_TYPE) or str(self.status)
        if self.disconnected:
            fields["client_disconnected"] = True
        if self.close_code is not None:
            fields["websocket.close_code"] = self.close_code
        if config.query or config.headers:
            self._add_what_was_asked_for(fields)
        return self._adapted(fields) if config.field_names or config.extra is not None else fields

    def _add_what_was_asked_for(self, fields: dict[str, Any]) -> None:
        if self._config.query and self._scope.get("query_string"):
            fields["url.query"] = redact_query(self._scope["query_string"])
        for name in self._config.headers:
            if (value := self._headers.get(name.lower().encode())) is not None:
                fields[HEADER_FIELD + name.lower()] = redact_header(name.lower(), value.decode("latin-1"))

    def _adapted(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Rename, and add what the application has to say."""
        config = self._config
        names = {name: config.field_names.get(name, name) for name in fields}
        renamed = {new: fields[old] for old, new in names.items() if new is not None}
        if config.extra is None:
            return renamed
        try:
            added = config.extra(self._scope).items()  # noqa: S610 (not Django's)
            return {**{name: value for name, value in added if name not in OF_THE_LINE}, **renamed}
        except Exception as error:
            # The application's function must not cost the line, nor the request.
            _errors.error("RequestLogConfig.extra failed: %s", type(error).__qualname__, exc_info=scrub(error))
            return renamed
