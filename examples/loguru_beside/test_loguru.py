"""What loguru writes."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from loguru import logger

from examples.loguru_beside.app import no_sockets

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Give the root logger back what it had, and take loguru's handler away."""
    root, access = logging.getLogger(), logging.getLogger("uvicorn.access")
    level, handlers, disabled = root.level, root.handlers[:], access.disabled
    yield
    logging.getLogger("uvicorn.error").removeFilter(no_sockets)
    root.setLevel(level)
    root.handlers[:] = handlers
    access.disabled = disabled
    logger.remove()


def lines_of(app: FastAPI, capsys: pytest.CaptureFixture[str], path: str) -> list[dict[str, Any]]:
    """Call the application and parse what it wrote: the text of each line, and its record."""
    headers = {"X-Request-ID": "request-1", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    with TestClient(app, raise_server_exceptions=False) as client:
        client.get(path, headers=headers)
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_messages_have_the_request(fastapi_app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    """The application's message and the request line, both with request and trace id."""
    message, request = (line["record"] for line in lines_of(fastapi_app, capsys, "/items/7?token=secret"))
    assert message["message"] == "looking for item 7"
    assert request["message"].startswith("GET /items/7 - 0.")
    assert request["extra"]["http.route"] == "/items/{item_id}"
    for record in (message, request):
        assert record["extra"]["request_id"] == "request-1"
        assert record["extra"]["trace_id"] == TRACE
        assert record["level"]["name"] == "INFO"
        assert "secret" not in str(record)


def test_braces_in_a_path_are_no_format(fastapi_app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    """The text of a line is taken as it is."""
    (request,) = (line["record"] for line in lines_of(fastapi_app, capsys, "/{0}{name}<red>"))
    assert request["message"].startswith("GET /%7B0%7D%7Bname%7D%3Cred%3E - ")
    assert request["extra"]["http.response.status_code"] == 404


def test_a_query_of_a_websocket_is_not_shown(fastapi_app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    """What uvicorn itself would write of one."""
    with TestClient(fastapi_app):
        for kind in ("[accepted]", "403"):
            logging.getLogger("uvicorn.error").info(f'%s - "WebSocket %s" {kind}', "::1", "/chat?token=secret")
        logging.getLogger("uvicorn.error").warning("something else")
    assert [line["record"]["message"] for line in map(json.loads, capsys.readouterr().err.splitlines())] == [
        "something else"
    ]


def test_a_failure_has_one_traceback(fastapi_app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    """The stack's record comes through `logging`, with the same id and without the values of variables."""
    lines = lines_of(fastapi_app, capsys, "/items/0")
    assert "LookupError: no item has the number 0" in lines[1]["text"]
    assert "correct horse" not in str(lines)
    _, failure, request = (line["record"] for line in lines)
    assert failure["message"] == "Unhandled LookupError"
    assert failure["exception"]["value"] == "no item has the number 0"
    assert failure["extra"]["request_id"] == request["extra"]["request_id"] == "request-1"
    assert request["level"]["name"] == "WARNING"
