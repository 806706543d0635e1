"""What `transaction()` and `ping()` are told, checked alike for sync and async."""

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy.exc import ArgumentError

from fastapi_patterns.exceptions import ConfigurationError, MissingExtraError

__all__ = ["MISTAKES", "check_async_function", "check_retries", "check_sync_function", "check_timeout"]

# What says that the application is wrong, not that the database is unavailable: a driver that is not there or does not
# know an argument, say.
MISTAKES = (ConfigurationError, MissingExtraError, ArgumentError, TypeError)


def check_retries(misplaced: tuple[object, ...], retries: Any) -> None:
    """Check the arguments of `transaction()`.

    Raises:
        ConfigurationError: A function stands where `@database.transaction()` has none, or `retries` is out of range.
    """
    if misplaced:
        raise ConfigurationError(
            "transaction needs its parentheses: write @database.transaction() above the function, and arguments by "
            "name, such as @database.transaction(retries=3)"
        )
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= 3:
        raise ConfigurationError(f"retries must be 0 to 3, an int: more of them only add load; got {retries!r}")


def check_sync_function(function: Any) -> None:
    """Refuse what a sync transaction would end before the function has begun.

    Raises:
        ConfigurationError: A coroutine function, a generator function, or nothing to call.
    """
    called = _called(function)
    if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
        raise ConfigurationError(
            f"Database.transaction() takes a `def`; {_name(function)} is an `async def`, which would run after the "
            "commit. Use AsyncDatabase, or make it a `def`"
        )
    if inspect.isgeneratorfunction(called):
        raise _is_generator("Database", function)


def check_async_function(function: Any) -> None:
    """Refuse what an async transaction cannot await.

    Raises:
        ConfigurationError: Not a coroutine function, a partial or a wrapper of one, or an object with an async
            `__call__`.
    """
    called = _called(function)
    if inspect.isasyncgenfunction(called):
        raise _is_generator("AsyncDatabase", function)
    if not inspect.iscoroutinefunction(called) and not inspect.iscoroutinefunction(inspect.unwrap(called)):
        raise ConfigurationError(
            f"AsyncDatabase.transaction() takes an `async def`; {_name(function)} is none. "
            "Make it an `async def`, or use Database"
        )


def check_timeout(timeout_s: Any) -> None:
    """Check a number of seconds.

    Raises:
        TypeError: Not an int or float.
        ValueError: Not positive, or not finite.
    """
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)):
        raise TypeError(f"timeout_s must be a number of seconds, such as 2.0; got {timeout_s!r}")
    if not math.isfinite(timeout_s) or timeout_s <= 0:
        raise ValueError(f"timeout_s must be a positive number of seconds, such as 2.0; got {timeout_s!r}")


def _is_generator(kind: str, function: Any) -> ConfigurationError:
    return ConfigurationError(
        f"{kind}.transaction() takes a function that returns; {_name(function)} has a `yield` and would run after the "
        "commit. Return a list, or open a session_scope() in the generator"
    )


def _called(function: Any) -> Callable[..., Any]:
    """The function behind partials and objects with a `__call__`."""
    while isinstance(function, partial):
        function = function.func
    if not callable(function):
        raise ConfigurationError(f"transaction() decorates a function; got {type(function).__name__}")
    if inspect.isroutine(function) or inspect.iscoroutinefunction(function) or isinstance(function, type):
        return function  # type: ignore[no-any-return]
    call: Callable[..., Any] = type(function).__call__
    return call


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)
