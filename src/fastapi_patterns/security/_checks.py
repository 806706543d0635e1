"""What is checked of functions and objects that an application passes in, when it passes them."""

import inspect
from datetime import datetime

from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["are_integers", "check_clock", "is_async"]


def is_async(function: object) -> bool:
    """Tell whether a call gives a coroutine, which is true whatever it would give when awaited."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def are_integers(*values: object) -> bool:
    """Tell whether all are integers, and none a bool or a text of digits."""
    return all(type(value) is int for value in values)


def check_clock(now: object) -> None:
    """Ask a clock for the time, once.

    Raises:
        ConfigurationError: It is no function, or gives no datetime with a time zone.
    """
    moment = now() if callable(now) and not is_async(now) else None
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise ConfigurationError(
            "now must be a function that gives a datetime with a time zone, such as lambda: datetime.now(UTC)"
        )
