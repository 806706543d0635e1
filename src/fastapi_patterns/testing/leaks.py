"""`assert_no_leaks`: what a test leaves behind fails it, and not the one that meets it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fastapi_patterns.testing._watch import Watch

__all__ = ["assert_no_leaks", "watch_this_loop", "watched"]


@pytest.fixture
def assert_no_leaks(_fastapi_isolation: Any) -> None:
    """Fail the test when it leaves connections, transactions, asyncio tasks or threads behind.

    For all tests of a module: `pytestmark = pytest.mark.usefixtures("assert_no_leaks")`. The check comes after the
    test's clients and sessions have closed, in whatever order the test names its fixtures. It lists what is left, and
    the line where each began.
    """


@pytest.fixture(name="_fastapi_watch")
def watched(request: pytest.FixtureRequest, _fastapi_bound: Any) -> "Iterator[Watch | None]":
    """Watch what the test opens, where it asks for that; the plugin's own connections are open by then."""
    if "assert_no_leaks" not in request.fixturenames:
        yield None
        return
    from fastapi_patterns.testing._watch import Watch

    watch = Watch()
    with watch.active():
        yield watch


async def watch_this_loop(_fastapi_watch: "Watch") -> AsyncIterator[None]:
    """Watch the tasks of an async test's own loop, where that is asyncio's: trio's tasks cannot be left behind."""
    on_asyncio = asyncio._get_running_loop() is not None
    if on_asyncio:
        _fastapi_watch.enter_loop()
    yield
    if on_asyncio:
        await _fastapi_watch.leave_loop()
