"""Whether and when a call is sent again."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2

__all__ = ["Budget", "is_repeatable", "wait_before"]

# RFC 9110 section 9.2.2, but for TRACE: sent twice they do what they do once.
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
# The upstream says itself that it did not do it, or cannot know.
_RETRIED: Final = frozenset({429, 502, 503, 504})
_BASE_S: Final = 0.1
_LONGEST_S: Final = 2.0


class Budget:
    """How many calls may be sent again: a fifth of them, and ten at once.

    Without it an upstream that breaks down would get three times its load.

    Source: "Handling Overload", Site Reliability Engineering, O'Reilly 2016; the ratio is ours.
    """

    _SHARE = 0.2
    _MOST = 10.0

    def __init__(self) -> None:
        self._left = self._MOST

    def earn(self) -> None:
        """Note a call."""
        self._left = min(self._MOST, self._left + self._SHARE)

    def spend(self) -> bool:
        """Take one retry, if there is one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


def is_repeatable(request: httpx2.Request) -> bool:
    """Tell whether a request may be sent again: its method is idempotent, and its body is still there."""
    return request.method in _IDEMPOTENT and isinstance(request.stream, httpx2.ByteStream)


def wait_before(attempt: int, outcome: httpx2.Response | httpx2.TransportError) -> float | None:
    """Tell how many seconds to wait before another attempt; None where there should be none.

    Args:
        attempt: The number of the one before, from 1.
        outcome: What came of that.

    Returns:
        What the upstream asks for with `Retry-After`, or exponential backoff with full jitter.
    """
    if isinstance(outcome, httpx2.Response):
        if outcome.status_code not in _RETRIED:
            return None
        asked = _retry_after(outcome)
        if asked is not None:
            return asked
    elif isinstance(outcome, httpx2.PoolTimeout | httpx2.UnsupportedProtocol | httpx2.ProxyError):
        return None
    return random.uniform(0, min(_LONGEST_S, _BASE_S * 2**attempt))  # noqa: S311  # spreads load, protects nothing


def _retry_after(response: httpx2.Response) -> float | None:
    """Read `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
