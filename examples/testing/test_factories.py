"""polyfactory over an async session."""

import httpx2
import pytest
from polyfactory.factories.sqlalchemy_factory import SQLAlchemyFactory
from sqlalchemy.ext.asyncio import AsyncSession

from examples.testing.app import Customer


class CustomerFactory(SQLAlchemyFactory[Customer]):
    """Rows of customers."""

    __set_relationships__ = False
    id = None  # the database numbers them


@pytest.fixture
def customers(async_db: AsyncSession, monkeypatch: pytest.MonkeyPatch) -> type[CustomerFactory]:
    """The factory, writing through the session of this test."""
    monkeypatch.setattr(CustomerFactory, "__async_session__", async_db)
    return CustomerFactory


async def test_rows_are_read(async_client: httpx2.AsyncClient, customers: type[CustomerFactory]) -> None:
    """`create_batch_async` commits, so the application sees them."""
    made = await customers.create_batch_async(3)
    found = (await async_client.get("/customers")).json()
    assert [each["name"] for each in found] == [each.name for each in made]
