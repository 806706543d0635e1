"""Log output as text or JSON, with the request id on every line. Nothing happens on import.

`configure_logging` is one explicit call. An application with a logging set-up of its own (structlog, loguru,
dictConfig) leaves it out and takes the parts it wants: `TextFormatter`, `JsonFormatter`, `RequestContextFilter`.
"""

import json
import logging
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from fastapi_patterns.context import get_request_id
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.middleware.catch_all import was_logged

try:
    import orjson
except ImportError:  # the extra `fast` is not installed
    orjson = None  # type: ignore[assignment, unused-ignore]

__all__ = ["JsonFormatter", "RequestContextFilter", "TextFormatter", "configure_logging"]

# Line breaks, escape sequences, bidi marks: what could forge a line or a terminal's display (CWE-117).
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class RequestContextFilter(logging.Filter):
    """Puts `request_id` on every record that passes: the id of the request at hand, or None."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id unless the record has one; lets every record pass."""
        if getattr(record, "request_id", None) is None:
            record.request_id = get_request_id()
        return True


class _LoggedOnce(logging.Filter):
    """Drops the server's copy of a traceback that the application has logged with the request id."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.name == "uvicorn.error" and record.exc_info and was_logged(record.exc_info[1]))


class TextFormatter(logging.Formatter):
    """`GET /path - 0.123s 200 request_id=... at=...` for requests, `LEVEL logger: message ...` for the rest."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, and a traceback below it."""
        message = _CONTROL.sub(_escaped, record.getMessage())
        line = message if _fields(record) else f"{record.levelname} {record.name}: {message}"
        request_id = getattr(record, "request_id", None)
        if request_id:
            line += f" request_id={_CONTROL.sub(_escaped, str(request_id))}"
        line += f" at={_timestamp(record)}"
        if record.exc_info:
            # Its lines stay, since people read it, but the text of an exception may be the client's.
            line += "".join(
                "\n" + _CONTROL.sub(_escaped, part) for part in self.formatException(record.exc_info).split("\n")
            )
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request id, the record's fields, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON, written by orjson where it is installed."""
        values: dict[str, Any] = {
            "time": _timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", None),
            **_fields(record),
        }
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        return _one_line({name: value for name, value in values.items() if value is not None})


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


_FORMATTERS: dict[str, Callable[[], logging.Formatter]] = {"text": TextFormatter, "json": JsonFormatter}


def configure_logging(
    format: Literal["text", "json"] = "text",  # noqa: A002 (the field's word)
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
        format: `"text"` or `"json"`.
        level: The root logger's level, by name or number.
        stream: Where to write; `sys.stderr` by default.

    Raises:
        ConfigurationError: An unknown format or level.
    """
    if format not in _FORMATTERS:
        raise ConfigurationError(f"format must be 'text' or 'json'; got {format!r}")
    root = logging.getLogger()
    try:
        root.setLevel(level)
    except (ValueError, TypeError):
        raise ConfigurationError(f"level must be a logging level such as 'INFO'; got {level!r}") from None
    handler: logging.Handler = _StderrHandler() if stream is None else logging.StreamHandler(stream)
    handler.setFormatter(_FORMATTERS[format]())
    handler.addFilter(RequestContextFilter())
    handler.addFilter(_LoggedOnce())
    handler.set_name("fastapi_patterns")
    for old in [old for old in root.handlers if old.get_name() == "fastapi_patterns"]:
        root.removeHandler(old)
    root.addHandler(handler)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("httpx2", "httpx"):  # at INFO they print the whole URL of each outgoing call, query included
        logging.getLogger(name).setLevel(logging.WARNING)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found = getattr(record, "fields", None)
    return found if isinstance(found, dict) else {}  # an application may use the name for something else


def _one_line(values: dict[str, Any]) -> str:
    if orjson is not None:
        try:
            text = orjson.dumps(values, default=str).decode()
        except TypeError:  # lone surrogates and integers over 64 bits, which `json` can write
            pass
        else:
            if text.isascii() and "\x7f" not in text:
                return text
            # orjson leaves what is not ASCII as it is; what could act on a terminal is escaped.
            return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return json.dumps(values, default=str)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
