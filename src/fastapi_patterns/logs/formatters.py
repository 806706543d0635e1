"""The formatters for machines and plain terminals, and the filter that puts the request on each record."""

import logging
from typing import Any

from fastapi_patterns._compat import current_span
from fastapi_patterns._scrub import scrub
from fastapi_patterns.context import current_request
from fastapi_patterns.logs._text import MAX_LINE, bounded, escaped, one_line, timestamp

__all__ = ["JsonFormatter", "RequestContextFilter", "TextFormatter", "is_request"]


class RequestContextFilter(logging.Filter):
    """Puts `request_id`, `trace_id`, `span_id` and `user_id` on every record that passes: the request at hand, or None.

    The span is OpenTelemetry's current one where there is one, else the request's.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what the record does not have; lets every record pass."""
        request = current_request()
        has = record.__dict__
        if request is None:
            for name in ("request_id", "trace_id", "span_id", "user_id"):
                has.setdefault(name, None)
            return True
        if has.get("request_id") is None:
            has["request_id"] = request.request_id
        trace_id, span_id = current_span() or (request.trace_id, request.span_id)
        if has.get("trace_id") is None:
            has["trace_id"] = trace_id
        has.setdefault("span_id", span_id)
        has.setdefault("user_id", request.user_id)
        return True


class _Scrubbing(logging.Formatter):
    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        """Write the traceback without the values that an exception of SQLAlchemy or pydantic carries."""
        error = ei[1]
        if error is not None:
            safe = scrub(error)
            ei = (type(safe), safe, safe.__traceback__ if safe is not error else ei[2])
        return super().formatException(ei)


class TextFormatter(_Scrubbing):
    """`GET /path - 0.123s 200 request_id=... at=...` for requests, `LEVEL logger: message ...` for the rest."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, and a traceback below it."""
        message = escaped(record.getMessage())
        if record.name == "uvicorn.error":  # it sends the traceback of a failed start-up as one message
            message = message.replace("\\n", "\n").rstrip("\n")
        line = message if is_request(record) else f"{record.levelname} {record.name}: {message}"
        for name in ("request_id", "trace_id"):
            if value := getattr(record, name, None):
                line += f" {name}={escaped(str(value))}"
        line = bounded(line, MAX_LINE - 64) + f" at={timestamp(record.created)}"
        if record.exc_info:
            # Its lines stay, since people read it, but the text of an exception may be the client's.
            line += "".join("\n" + bounded(escaped(part)) for part in self.formatException(record.exc_info).split("\n"))
        return line


class JsonFormatter(_Scrubbing):
    """One JSON object a line: time, level, logger, message, the request, the record's fields, the traceback.

    A line has at most 8 KiB: a longer text loses its middle, and `"truncated": true` says so.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON, written by orjson where it is installed."""
        values: dict[str, Any] = {
            "time": timestamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if is_request(record):
            values.update(record.__dict__["fields"])  # the request is among them
        else:
            for name in ("request_id", "trace_id", "span_id", "user_id"):
                if (value := getattr(record, name, None)) is not None:
                    values["user.id" if name == "user_id" else name] = value
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        return one_line(values).decode()


def is_request(record: logging.LogRecord) -> bool:
    """Tell whether this is a line of the request log: its fields are `record.fields`."""
    # An application may use the name `fields` for something else.
    return record.name == "fastapi_patterns.request" and isinstance(record.__dict__.get("fields"), dict)
