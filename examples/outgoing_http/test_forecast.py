"""The upstream is answered for; no network is needed."""

import re
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from fastapi_patterns.testing import MockHttp

FORECAST = "https://weather.example/v1/forecast"


def test_an_answer_is_passed_on(client: TestClient, mock_http: MockHttp) -> None:
    """The city goes along, and so does the id of the request."""
    mock_http.add("GET", FORECAST, params={"city": "Paris"}, json={"sky": "blue"})
    answer = client.get("/forecast/Paris")
    assert answer.json() == {"sky": "blue"}
    assert mock_http.calls[0].headers["X-Request-ID"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("upstream", "status", "error"),
    [
        ({"status": 500, "text": "database password is wrong"}, 502, "Another service failed"),
        ({"text": "<title>Sign in</title>"}, 502, "Another service failed"),
        ({"exception": httpx2.ConnectError}, 502, "Another service failed"),
        ({"exception": httpx2.ReadTimeout}, 504, "Another service did not answer in time"),
    ],
)
def test_a_failure_of_theirs_is_no_500_of_ours(
    client: TestClient, mock_http: MockHttp, upstream: dict[str, Any], status: int, error: str
) -> None:
    """And keeps their words to itself."""
    mock_http.add("GET", FORECAST, **upstream)
    answer = client.get("/forecast/Paris")
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_the_second_try_works(client: TestClient, mock_http: MockHttp) -> None:
    """Answers for the same call are given in turn; a GET that failed is sent again, and does not wait in a test."""
    mock_http.add("GET", FORECAST, exception=httpx2.ConnectTimeout)
    mock_http.add("GET", FORECAST, json={"sky": "grey"})
    assert client.get("/forecast/Paris").json() == {"sky": "grey"}
    assert len(mock_http.calls) == 2


def test_each_city_has_its_own_sky(client: TestClient, mock_http: MockHttp) -> None:
    """A function answers where the answer depends on the request."""

    def sky(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"sky": "blue" if request.url.params["city"] == "Paris" else "grey"})

    mock_http.add("GET", re.compile(r"https://weather\.example/"), handler=sky)
    assert client.get("/forecast/Paris").json() == {"sky": "blue"}
    assert client.get("/forecast/London").json() == {"sky": "grey"}
