"""The upstream is replaced by a function; no network is needed."""

from collections.abc import AsyncIterator, Callable

import httpx2
import pytest
from fastapi.testclient import TestClient

from examples.outgoing_http.app import weather
from fastapi_patterns import HttpClient


def fine(request: httpx2.Request) -> httpx2.Response:
    """An upstream that answers."""
    return httpx2.Response(200, json={"city": request.url.params["city"], "sky": "blue"})


def broken(request: httpx2.Request) -> httpx2.Response:
    """An upstream that fails, and says too much."""
    return httpx2.Response(500, text="database password is wrong")


def sign_in(request: httpx2.Request) -> httpx2.Response:
    """A proxy that answers in the upstream's place, with a page instead of JSON."""
    return httpx2.Response(200, html="<title>Sign in</title>")


def slow(request: httpx2.Request) -> httpx2.Response:
    """An upstream that does not answer in time."""
    raise httpx2.ReadTimeout("too slow", request=request)


def unreachable(request: httpx2.Request) -> httpx2.Response:
    """An upstream that is not there."""
    raise httpx2.ConnectError("no route to host", request=request)


@pytest.mark.parametrize(
    ("upstream", "status", "body"),
    [
        (fine, 200, {"city": "Paris", "sky": "blue"}),
        (broken, 502, {"error": "Another service failed"}),
        (sign_in, 502, {"error": "Another service failed"}),
        (unreachable, 502, {"error": "Another service failed"}),
        (slow, 504, {"error": "Another service did not answer in time"}),
    ],
)
def test_forecast(
    client: TestClient,
    dependency_overrides: dict[object, object],
    upstream: Callable[[httpx2.Request], httpx2.Response],
    status: int,
    body: dict[str, str],
) -> None:
    """An answer is passed on; a failure of theirs is no 500 of ours, and keeps their words to itself."""

    async def double() -> AsyncIterator[httpx2.AsyncClient]:
        async with HttpClient("https://weather.example/v1/", transport=httpx2.MockTransport(upstream)) as opened:
            yield await opened.client()

    dependency_overrides[weather.client] = double
    answer = client.get("/forecast/Paris")
    assert answer.status_code == status
    assert answer.json() == body
