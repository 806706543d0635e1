"""Sets up what must surround a test's other fixtures, in whatever order the test names them.

Otherwise an application's start-up would reach the network before `mock_http` and its shutdown after it.
"""

from typing import Any

import pytest

__all__ = ["pytest_fixture_setup"]

_FIRST = ("frozen_clock", "mock_http")


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    """Set them up before any other fixture of the test's own, and so end them after it."""
    if fixturedef.scope != "function" or fixturedef.argname in _FIRST:
        return
    for name in _FIRST:
        if name in request.fixturenames:
            request.getfixturevalue(name)
