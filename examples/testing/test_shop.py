"""Async tests: the client and the session run in the event loop of the test, and all is rolled back."""

import asyncio

import httpx2
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from examples.testing.app import Customer, Order


async def test_nobody_is_there(async_client: httpx2.AsyncClient) -> None:
    """Each test begins with empty tables."""
    assert (await async_client.get("/customers")).json() == []


async def test_a_customer_is_listed(async_client: httpx2.AsyncClient, ada: Customer) -> None:
    """What a test commits, the application sees."""
    assert (await async_client.get("/customers")).json() == [{"name": ada.name, "articles": []}]


async def test_many_at_once(async_client: httpx2.AsyncClient, async_db: AsyncSession) -> None:
    """Requests that are sent at once are served one after the other."""
    async_db.add_all([Customer(name="Ada"), Customer(name="Bob")])
    await async_db.commit()
    answers = await asyncio.gather(*(async_client.get("/customers") for _ in range(10)))
    assert [len(answer.json()) for answer in answers] == [2] * 10


async def test_an_article_that_is_missing(async_client: httpx2.AsyncClient, async_db: AsyncSession) -> None:
    """A session of the test's own looks at what the application left behind."""
    answer = await async_client.post("/orders", json={"customer_id": 1})
    assert answer.status_code == 422
    assert (await async_db.scalars(select(Order))).all() == []


@pytest.mark.fastapi(raise_server_exceptions=False)
async def test_a_customer_that_is_not_there(async_client: httpx2.AsyncClient) -> None:
    """Without the marker, an error that nothing answers would be raised here."""
    answer = await async_client.get("/nowhere")
    assert answer.status_code == 404
