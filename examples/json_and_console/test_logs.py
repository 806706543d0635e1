"""The same application in both forms."""

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


@pytest.mark.parametrize("path", ["/stock/tea", "/stock/salt"])
def test_production_writes_json(fastapi_app: FastAPI, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is an object, and a failure's traceback is inside one."""
    with TestClient(fastapi_app, raise_server_exceptions=False) as client:
        answer = client.get(path)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line["request_id"] for line in lines} == {answer.headers["x-request-id"]}
    assert lines[-1]["http.response.status_code"] == answer.status_code
    if answer.status_code == 500:
        assert "KeyError: 'salt'" in lines[0]["exception"]


def test_home_has_colours(
    fastapi_app: FastAPI, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The environment asks for the console form; FORCE_COLOR stands in for the terminal."""
    monkeypatch.setenv("LOG_FORMAT", "console")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with TestClient(fastapi_app) as client:
        client.get("/stock/tea")
    line = capsys.readouterr().err
    assert "/stock/tea" in line
    assert "\x1b[32m 200\x1b[0m" in line
