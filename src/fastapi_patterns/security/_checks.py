"""What is checked of functions and objects that an application passes in, when it passes them."""

import inspect

__all__ = ["is_async"]


def is_async(function: object) -> bool:
    """Tell whether a call gives a coroutine, which is true whatever it would give when awaited."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
