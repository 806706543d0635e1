"""What the log says."""

import json
import logging
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Give the root logger back what it had."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def test_text(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    """The application's own line and the request's, with the id that came in."""
    client.get("/items/7?token=secret", headers={"X-Request-ID": "request-1"})
    own, request = capsys.readouterr().err.splitlines()
    assert own.startswith("INFO shop: looking for item 7 request_id=request-1 at=")
    assert request.startswith("GET /items/7 - 0.")
    assert "s 200 request_id=request-1 at=" in request
    assert "secret" not in own + request


def test_json(fastapi_app: FastAPI, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line."""
    monkeypatch.setenv("LOG_FORMAT", "json")
    with TestClient(fastapi_app) as client:
        answer = client.get("/items/7")
    own, request = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert own["message"] == "looking for item 7"
    assert request["http.route"] == "/items/{item_id}"
    assert own["request_id"] == request["request_id"] == answer.headers["x-request-id"]
