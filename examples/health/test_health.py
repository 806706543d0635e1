"""Both routes when all is well and when the database is away, and what of them is in the log."""

import pytest
from fastapi.testclient import TestClient

from examples.health.app import database
from fastapi_patterns.db import DatabaseUnavailableError


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer."""

    async def unanswered(*, timeout_s: float) -> None:
        raise DatabaseUnavailableError("The database does not answer")

    monkeypatch.setattr(database, "ping", unanswered)


def test_all_is_well(client: TestClient) -> None:
    """Nobody has to be logged in."""
    for path in ("/health/live", "/health/ready"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_without_its_database_a_process_lives_and_is_not_ready(client: TestClient, no_database: None) -> None:
    """It gets no requests meanwhile, and is not killed for what is no fault of its own."""
    assert client.get("/health/live").status_code == 200
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"error": "The database is not available"})
    assert answer.headers["Retry-After"] == "1"


def test_only_trouble_is_logged(
    client: TestClient, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    """Thousands of good answers are no lines; a 503 is one."""
    caplog.set_level("INFO", "fastapi_patterns.request")
    client.get("/health/live")
    client.get("/health/ready")
    assert caplog.messages == []
    request.getfixturevalue("no_database")
    client.get("/health/ready")
    assert [message[:18] for message in caplog.messages if "GET" in message] == ["GET /health/ready "]


def test_they_are_no_part_of_the_api(client: TestClient) -> None:
    """The document lists what clients call."""
    assert list(client.get("/openapi.json").json()["paths"]) == ["/notes/{note_id}"]
