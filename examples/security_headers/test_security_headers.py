"""Every answer has the headers: good ones, refusals, and those of bugs."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from examples.security_headers.app import served


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/hello", 200), ("GET", "/nowhere", 404), ("GET", "/broken", 500), ("OPTIONS", "/hello", 200)],
)
def test_every_answer_has_the_headers(method: str, path: str, status: int) -> None:
    """What is answered outside the application's own middleware too: a 500, a preflight."""
    target: Any = served  # typed more loosely than Starlette asks for
    client = TestClient(target, base_url="https://testserver", raise_server_exceptions=False)
    asking = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    answer = client.request(method, path, headers=asking)
    assert answer.status_code == status
    headers = answer.headers
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert headers["X-Request-ID"]
