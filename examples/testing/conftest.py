"""What the tests of the shop share: a customer, and rows from factories."""

import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncSession

from examples.testing.app import Customer


@pytest_asyncio.fixture
async def ada(async_db: AsyncSession) -> Customer:
    """A customer who is there for the application too."""
    ada = Customer(name="Ada")
    async_db.add(ada)
    await async_db.commit()
    return ada
