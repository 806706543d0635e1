"""`configure_logging`: the one explicit call."""

import logging
import sys
from collections.abc import Callable
from typing import Literal, TextIO

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.logs.console import ConsoleFormatter
from fastapi_patterns.logs.formatters import JsonFormatter, RequestContextFilter, TextFormatter

__all__ = ["configure_logging"]


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever `sys.stderr` is at that moment; tests and servers replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        raise AttributeError("the stream is always sys.stderr")


class _NoSockets(logging.Filter):
    """Drops uvicorn's line for each websocket, which shows the whole query: the request log has one without."""

    def filter(self, record: logging.LogRecord) -> bool:
        return '"WebSocket %s"' not in str(record.msg)


_NO_SOCKETS = _NoSockets()

_FORMATTERS: dict[str, Callable[[TextIO], logging.Formatter]] = {
    "text": lambda stream: TextFormatter(),
    "json": lambda stream: JsonFormatter(),
    "console": lambda stream: ConsoleFormatter(stream=stream),
}


def configure_logging(
    format: Literal["text", "json", "console"] = "text",  # noqa: A002 (the field's word)
    *,
    level: int | str = "INFO",
    stream: TextIO | None = None,
) -> None:
    """Send every logger's records to one stream, in one format, with the request id.

    Takes over uvicorn's loggers: its access log is switched off, since it would repeat every request with the full
    query string; httpx's line for each outgoing call, which does the same, is raised to WARNING. Call it again to
    change a setting; handlers that others put on the root logger stay.

    Call it in the application's lifespan, or start uvicorn with `log_config=None`: uvicorn sets its loggers up when
    it starts and would undo an earlier call.

    Args:
        format: `"text"`, `"json"`, or `"console"` for development: in colour, tracebacks folded to the application's
            own code.
        level: The root logger's level, by name or number.
        stream: Where to write; `sys.stderr` by default.

    Raises:
        ConfigurationError: An unknown format or level.
    """
    if format not in _FORMATTERS:
        raise ConfigurationError(f"format must be 'text', 'json' or 'console'; got {format!r}")
    root = logging.getLogger()
    try:
        root.setLevel(level)
    except (ValueError, TypeError):
        raise ConfigurationError(f"level must be a logging level such as 'INFO'; got {level!r}") from None
    handler: logging.Handler = _StderrHandler() if stream is None else logging.StreamHandler(stream)
    handler.setFormatter(_FORMATTERS[format](sys.stderr if stream is None else stream))
    handler.addFilter(RequestContextFilter())
    handler.set_name("fastapi_patterns")
    for old in [old for old in root.handlers if old.get_name() == "fastapi_patterns"]:
        root.removeHandler(old)
    root.addHandler(handler)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn.error").addFilter(_NO_SOCKETS)  # adding the same filter again changes nothing
    for name in ("httpx2", "httpx"):  # at INFO they print the whole URL of each outgoing call, query included
        logging.getLogger(name).setLevel(logging.WARNING)
