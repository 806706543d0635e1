"""Each store, opened for a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from fastapi_patterns.auth.stores import TokenStore
from tests.auth.stores.opened import KINDS, Opened, open_store


@pytest_asyncio.fixture(params=KINDS)
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opened]:
    """A store of each kind, with nothing in it."""
    async with open_store(request.param, request, tmp_path) as found:
        yield found


@pytest.fixture
def store(opened: Opened) -> TokenStore:
    """The same, without what the test need not see."""
    return opened.store
