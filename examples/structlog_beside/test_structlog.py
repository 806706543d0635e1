"""What structlog writes."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient

from examples.structlog_beside.app import no_sockets

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Give the root logger and structlog back what they had."""
    root, access = logging.getLogger(), logging.getLogger("uvicorn.access")
    level, handlers, disabled = root.level, root.handlers[:], access.disabled
    yield
    logging.getLogger("uvicorn.error").removeFilter(no_sockets)
    root.setLevel(level)
    root.handlers[:] = handlers
    access.disabled = disabled
    structlog.reset_defaults()


def lines_of(app: FastAPI, capsys: pytest.CaptureFixture[str], path: str) -> list[dict[str, Any]]:
    """Call the application and parse what it wrote."""
    headers = {"X-Request-ID": "request-1", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    with TestClient(app, raise_server_exceptions=False) as client:
        client.get(path, headers=headers)
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_events_have_the_request(fastapi_app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    """The application's event and the request line, both with request and trace id."""
    event, request = lines_of(fastapi_app, capsys, "/items/7?token=secret")
    assert (event["event"], event["item_id"]) == ("looking for an item", 7)
    assert request["event"].startswith("GET /items/7 - 0.")
    assert request["http.route"] == "/items/{item_id}"
    assert request["logger"] == "shop.request"
    for line in (event, request):
        assert (line["request_id"], line["trace_id"], line["level"]) == ("request-1", TRACE, "info")
        assert "secret" not in str(line)


def test_a_percent_sign_in_a_path_is_no_format(fastapi_app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    """The text of a line is taken as it is."""
    (request,) = lines_of(fastapi_app, capsys, "/%25s%25d")
    assert request["event"].startswith("GET /%25s%25d - ")
    assert request["http.response.status_code"] == 404


def test_a_query_of_a_websocket_is_not_shown(fastapi_app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    """What uvicorn itself would write of one."""
    with TestClient(fastapi_app):
        for kind in ("[accepted]", "403"):
            logging.getLogger("uvicorn.error").info(f'%s - "WebSocket %s" {kind}', "::1", "/chat?token=secret")
        logging.getLogger("uvicorn.error").warning("something else")
    assert [line["event"] for line in map(json.loads, capsys.readouterr().err.splitlines())] == ["something else"]


def test_a_failure_has_one_traceback(fastapi_app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    """The stack's record comes through `logging`, in the same form and with the same id."""
    _, failure, request = lines_of(fastapi_app, capsys, "/items/0")
    assert failure["event"] == "Unhandled LookupError"
    assert "LookupError: no item has the number 0" in failure["exception"]
    assert failure["request_id"] == request["request_id"] == "request-1"
    assert (request["http.response.status_code"], request["level"]) == (500, "warning")
