"""Async fixtures that run in the event loop of the test, whichever plugin runs it: anyio's or pytest-asyncio's."""

import inspect
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from types import FunctionType
from typing import Any, cast

import pytest

__all__ = ["has_a_loop", "in_the_loop_of", "native_fixtures"]

_Function = Callable[..., AsyncIterator[Any]]
_LOOP_SCOPES = ("function", "class", "module", "package", "session")

_NO_PLUGIN = (
    "{name} is for async tests, and no plugin runs this one. Mark it with @pytest.mark.anyio (anyio is installed with "
    "Starlette), or install pytest-asyncio and mark it with @pytest.mark.asyncio."
)


def native_fixtures(name: str, function: _Function) -> dict[str, Any]:
    """Make a fixture for each plugin, and for each width of pytest-asyncio's loops, under names of their own.

    Each plugin sets its own up, in the event loop of the test; a fixture that is not asked for costs nothing.
    """
    made: dict[str, Any] = {_anyio_name(name): pytest.fixture(name=_anyio_name(name))(function)}
    if find_spec("pytest_asyncio") is not None:
        import pytest_asyncio

        for scope in _LOOP_SCOPES:
            own = _asyncio_name(name, scope)
            made[own] = pytest_asyncio.fixture(loop_scope=cast(Any, scope), name=own)(_copy(function))
    return made


def in_the_loop_of(request: pytest.FixtureRequest, name: str, fixture: str, instead: str) -> Any:
    """Set up the fixture `name` in the event loop of a test.

    Args:
        request: Of the fixture that the test asks for.
        name: What `native_fixtures` was given.
        fixture: What the test asked for.
        instead: What a sync test should ask for.
    """
    if not _is_async(request):
        pytest.fail(f"{fixture} is for async tests, and this one is a plain function: use {instead}", pytrace=False)
    if "anyio_backend" in request.fixturenames:
        return request.getfixturevalue(_anyio_name(name))
    marker = request.node.get_closest_marker("asyncio")
    if marker is None:
        pytest.fail(_NO_PLUGIN.format(name=fixture), pytrace=False)
    scope = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope")
    return request.getfixturevalue(
        _asyncio_name(name, scope or request.config.getini("asyncio_default_test_loop_scope"))
    )


def has_a_loop(request: pytest.FixtureRequest) -> bool:
    """Tell whether a plugin runs the test in an event loop."""
    return _is_async(request) and (
        "anyio_backend" in request.fixturenames or request.node.get_closest_marker("asyncio") is not None
    )


def _is_async(request: pytest.FixtureRequest) -> bool:
    test = getattr(request, "function", None)
    return inspect.iscoroutinefunction(getattr(getattr(test, "hypothesis", None), "inner_test", test))


def _copy(function: _Function) -> _Function:
    """Give pytest-asyncio a function of its own: it writes the loop's scope on it."""

    return FunctionType(function.__code__, function.__globals__, function.__name__, None, function.__closure__)


def _anyio_name(name: str) -> str:
    return f"_{name}_in_anyio"


def _asyncio_name(name: str, scope: str) -> str:
    return f"_{name}_in_asyncio_{scope}"
