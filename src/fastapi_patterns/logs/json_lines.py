"""`JsonLines`: the request log written straight to a stream, past `logging`."""

import asyncio
import atexit
import logging
import sys
import time
from typing import Any, BinaryIO

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.logs._text import one_line, timestamp

__all__ = ["JsonLines"]

_LEVELS = {logging.INFO: "INFO", logging.WARNING: "WARNING"}


class JsonLines:
    """A sink for `RequestLogConfig(sink=JsonLines())`: one JSON object a line, gathered and written together.

    It gives up what `logging` offers (handlers, levels by logger, test tools that capture records) and costs less:
    lines are written a batch at a time. A process that is killed loses what was gathered in the last `flush_after_s`;
    one that ends in the ordinary way writes it.

    Args:
        stream: A binary stream; that of `sys.stdout` by default.
        flush_after_s: Seconds that a line waits at the most.
        max_lines: Gathered lines that are written at once.

    Raises:
        ConfigurationError: A number is not positive.
    """

    def __init__(
        self,
        stream: BinaryIO | None = None,
        *,
        flush_after_s: float = 0.2,
        max_lines: int = 64,
    ) -> None:
        if flush_after_s <= 0 or max_lines < 1:
            raise ConfigurationError("JsonLines: flush_after_s and max_lines must be positive")
        self._stream = stream
        self._flush_after_s = flush_after_s
        self._max_lines = max_lines
        self._lines: list[bytes] = []
        self._registered = False

    def __call__(self, level: int, message: str, fields: dict[str, Any]) -> None:
        """Take one line."""
        values = {
            "time": timestamp(time.time()),
            "level": _LEVELS.get(level) or logging.getLevelName(level),
            "logger": "fastapi_patterns.request",
            "message": message,
            **fields,
        }
        self._lines.append(one_line(values))
        count = len(self._lines)
        if count >= self._max_lines:
            self.flush()
        elif count == 1:
            self._schedule()

    def flush(self) -> None:
        """Write what has been gathered."""
        lines, self._lines = self._lines, []
        if lines:
            stream = sys.stdout.buffer if self._stream is None else self._stream
            stream.write(b"\n".join(lines) + b"\n")
            stream.flush()

    def _schedule(self) -> None:
        if not self._registered:
            self._registered = True
            atexit.register(self.flush)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no event loop to wake us up
            self.flush()
        else:
            loop.call_later(self._flush_after_s, self.flush)
