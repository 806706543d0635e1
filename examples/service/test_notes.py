"""Notes, and the upstream in its three moods."""

from collections.abc import Callable

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from examples.service.blocks import upstream
from examples.service.upstream import app as jokes

Login = Callable[..., dict[str, str]]


def test_a_note_can_be_read_by_its_owner(client: TestClient, login: Login) -> None:
    """What was written comes back."""
    headers = login()
    note = client.post("/notes", json={"text": "buy milk"}, headers=headers)
    assert note.status_code == 201
    assert client.get(f"/notes/{note.json()['id']}", headers=headers).json() == note.json()
    assert client.get("/notes", headers=headers).json() == [note.json()]


def test_another_users_note_does_not_exist(client: TestClient, login: Login) -> None:
    """A 404, not a 403: nobody learns which notes there are."""
    note = client.post("/notes", json={"text": "secret"}, headers=login("ada@example.com"))
    answer = client.get(f"/notes/{note.json()['id']}", headers=login("eve@example.com"))
    assert answer.status_code == 404
    assert answer.json() == {"error": "No such note"}


def test_a_number_that_the_database_cannot_take_is_refused(client: TestClient, login: Login) -> None:
    """By the validation, before the driver raises."""
    answer = client.get(f"/notes/{2**63}", headers=login())
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "path.note_id"


@pytest.fixture
def joke_client(fastapi_app: FastAPI, dependency_overrides: dict[object, object], client: TestClient) -> TestClient:
    """The client, with the upstream replaced by the joke application in this process."""
    transport = httpx2.ASGITransport(jokes)
    dependency_overrides[upstream.client] = lambda: httpx2.AsyncClient(transport=transport, base_url="http://jokes")
    return client


def test_a_joke_comes_from_the_upstream(joke_client: TestClient) -> None:
    """The upstream's answer is passed on."""
    assert "SQL" in joke_client.get("/joke").json()["joke"]


def test_a_failing_upstream_is_a_502(joke_client: TestClient) -> None:
    """The upstream's 500 is not ours, and its text is not passed on."""
    answer = joke_client.get("/joke", params={"mode": "down"})
    assert answer.status_code == 502
    assert answer.json() == {"error": "Another service failed"}


def test_a_slow_upstream_is_a_504(client: TestClient, dependency_overrides: dict[object, object]) -> None:
    """A timeout has a status of its own."""

    async def too_slow(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("too slow", request=request)

    dependency_overrides[upstream.client] = lambda: httpx2.AsyncClient(
        transport=httpx2.MockTransport(too_slow), base_url="http://jokes"
    )
    answer = client.get("/joke", params={"mode": "slow"})
    assert answer.status_code == 504
    assert answer.json() == {"error": "Another service did not answer in time"}
