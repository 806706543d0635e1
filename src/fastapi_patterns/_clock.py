"""The clocks of tokens and logins, looked up at each call: a library that freezes time in tests reaches them.

freezegun replaces `time.time` and `datetime.datetime` in their modules, so whoever holds the function itself keeps the
real one.
"""

import datetime
import time

__all__ = ["seconds", "utc_now"]


def utc_now() -> datetime.datetime:
    """Give the time, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def seconds() -> float:
    """Give the time in seconds since 1970."""
    return time.time()
