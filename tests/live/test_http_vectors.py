"""Every raw request of the vectors keeps its properties against a real server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastapi_patterns import RequestLogConfig
from tests.live.http_vectors import TALKATIVE, Answer, asking, broken

CASES = json.loads((Path(__file__).parent.parent / "vectors" / "http_requests.json").read_text())["cases"]


@pytest.fixture(scope="module", params=[None, TALKATIVE], ids=["default", "talkative"])
def ask(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Answer]]:
    """A server, and a way to send it bytes; once with everything in the log that can be asked for."""
    request_log: RequestLogConfig | None = request.param
    with asking(tmp_path_factory.mktemp("vectors"), request_log) as send:
        yield send


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_request(case: dict[str, Any], ask: Callable[[str], Answer]) -> None:
    """Logs stay one line and whole, nothing leaks, foreign origins stay out, and the server lives on."""
    assert broken(case, ask) == [], case["name"]


def test_a_broken_property_is_seen(ask: Callable[[str], Answer]) -> None:
    """The checks can fail: a request that breaks each of these is reported."""
    raw = "GET /boom HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-Request-ID: good-one-1\r\n\r\n"
    props = ["STATUS:200", "RID_OWN", "NO_LEAK:Internal", "NO_SECRET:/boom", "NO_HEADER:x-request-id", "ACAO:x"]
    assert broken({"raw": raw, "props": [*props, "ALIVE", "ONE_LINE", "RID_KEPT"]}, ask) == props
