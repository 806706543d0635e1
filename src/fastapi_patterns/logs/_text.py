"""What may stand in a log line. Pure: escapes, bounds and times, shared by the formatters."""

import json
import re
import time
from functools import lru_cache
from typing import Any

try:
    import orjson
except ImportError:  # the extra `fast` is not installed
    orjson = None  # type: ignore[assignment, unused-ignore]

__all__ = ["MAX_LINE", "bounded", "escaped", "one_line", "timestamp"]

# Bytes. Docker splits a line at 16 KiB, a syslog server may do so at 8: a longer one is two broken ones there.
MAX_LINE = 8192

# Line breaks, escape sequences, bidi marks: what could forge a line or a terminal's display (CWE-117).
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# How much of each text is kept, tried in this order until the line fits.
_SHORTER = (4096, 1024, 256, 64)
# What a line that is still too long keeps.
_CORE = ("time", "level", "logger", "message", "request_id")


def escaped(text: str) -> str:
    """Write control characters, bidi marks and lone surrogates as escapes."""
    return _CONTROL.sub(_escape, text)


def bounded(text: str, limit: int = MAX_LINE) -> str:
    """Cut the middle out of a text that is longer: the beginning says what it is, the end of a traceback what broke."""
    if len(text) <= limit:
        return text
    kept = max(limit - 40, 2)
    return f"{text[: kept // 4]}... [{len(text) - kept} characters cut] ...{text[-(kept - kept // 4) :]}"


def one_line(values: dict[str, Any]) -> bytes:
    """Write one JSON object of at most `MAX_LINE` bytes, with escapes where a raw character could do harm."""
    line = _dumps(values)
    if len(line) <= MAX_LINE:
        return line
    for limit in _SHORTER:
        line = _dumps({name: _cut(value, limit) for name, value in values.items()} | {"truncated": True})
        if len(line) <= MAX_LINE:
            return line
    core = {name: bounded(str(values[name]), 256) for name in _CORE if name in values}
    return _dumps(core | {"truncated": True})


def timestamp(seconds: float) -> str:
    """Write a moment as ISO 8601 in UTC with milliseconds, `2026-01-31T12:00:00.000Z`."""
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


def _dumps(values: dict[str, Any]) -> bytes:
    if orjson is not None:
        try:
            line = orjson.dumps(values, default=str)
        except TypeError:  # lone surrogates and integers over 64 bits, which `json` can write
            pass
        else:
            if line.isascii() and b"\x7f" not in line:
                return line
            # orjson leaves what is not ASCII as it is; what could act on a terminal is escaped.
            return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode()).encode()
    return json.dumps(values, default=str).encode()


def _cut(value: Any, limit: int) -> Any:
    if value is None or isinstance(value, (int, float)):
        return value
    return bounded(value if isinstance(value, str) else str(value), limit)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
