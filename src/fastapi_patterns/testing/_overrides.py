"""Finds overrides that change nothing: FastAPI takes them without a word, and the test tests the real thing."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.utils import get_dependant

from fastapi_patterns._routes import endpoints, tree

__all__ = ["is_dependency", "unused_overrides"]

_END = object()


def is_dependency(app: FastAPI, call: object) -> bool:
    """Tell whether a route of the application depends on this, at whatever depth."""
    return not unused_overrides(app, [call], {})


def unused_overrides(app: FastAPI, keys: Iterable[Any], overrides: Mapping[Any, Callable[..., Any]]) -> list[str]:
    """Return the names of those that no route depends on, and no override of one that a route depends on."""
    missing, seen = list(keys), []
    reached = (call for endpoint in endpoints(app) if endpoint.app is app for call in tree(endpoint.dependant))
    wanted: list[Any] = []
    # It ends with the last one that is found, often on the first route: this runs after each test, whose time is short.
    while missing and (call := wanted.pop() if wanted else next(reached, _END)) is not _END:
        if call in seen:
            continue
        seen.append(call)
        missing = [key for key in missing if key != call]
        if call in overrides:  # what is overridden may depend on something itself
            wanted += tree(get_dependant(path="/", call=overrides[call]))
    return [name_of(key) for key in missing]


def name_of(call: object) -> str:
    """Write a dependency as the module and name of its function."""
    named = inspect.unwrap(call) if callable(call) else call
    name = getattr(named, "__qualname__", None) or type(call).__qualname__
    return f"{getattr(named, '__module__', '')}.{name}".lstrip(".")
