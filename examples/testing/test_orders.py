"""What an order needs: another service's answer, a task after the commit, and the time of day."""

from datetime import timedelta

import httpx2

from examples.testing.app import SALE_ENDS, Customer
from fastapi_patterns.testing import FrozenClock, MockHttp

ARTICLE = "https://stock.example/v1/articles/tea"


async def test_an_order_is_taken(async_client: httpx2.AsyncClient, ada: Customer, mock_http: MockHttp) -> None:
    """The stock is asked, and the task that follows is done when the answer is here."""
    mock_http.add("GET", ARTICLE, json={"left": 3})
    answer = await async_client.post("/orders", json={"customer_id": ada.id, "article": "tea"})
    assert answer.status_code == 201
    assert (await async_client.get("/customers")).json() == [{"name": "Ada", "articles": ["tea (receipt sent)"]}]


async def test_what_is_sold_out(async_client: httpx2.AsyncClient, ada: Customer, mock_http: MockHttp) -> None:
    """Another service's 404 is a conflict here."""
    mock_http.add("GET", ARTICLE, status=404)
    answer = await async_client.post("/orders", json={"customer_id": ada.id, "article": "tea"})
    assert (answer.status_code, answer.json()) == (409, {"error": "Sold out"})


async def test_a_stock_that_does_not_answer(async_client: httpx2.AsyncClient, mock_http: MockHttp) -> None:
    """Its timeout is ours to answer, with a 504."""
    mock_http.add("GET", ARTICLE, exception=httpx2.ReadTimeout)
    answer = await async_client.post("/orders", json={"customer_id": 1, "article": "tea"})
    assert answer.status_code == 504


async def test_a_sale_ends(async_client: httpx2.AsyncClient, frozen_clock: FrozenClock) -> None:
    """The application's own clock stands where the test puts it."""
    frozen_clock.move_to(SALE_ENDS - timedelta(seconds=1))
    assert (await async_client.get("/sale")).json() is True
    frozen_clock.tick(1)
    assert (await async_client.get("/sale")).json() is False
