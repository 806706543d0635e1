"""CORS: settings that would be dangerous do not start, the others do what they say."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import AnyHttpUrl

from fastapi_patterns import ConfigurationError, install_cors

APP, FOREIGN = "https://app.example", "https://evil.example"


def client_of(**settings: Any) -> TestClient:
    """A client of an application with CORS."""
    app = FastAPI()
    install_cors(app, **settings)

    @app.get("/")
    def root() -> str:
        return "in"

    return TestClient(app)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"allow_origins": ["*"], "allow_credentials": True}, "would let every website act as the user"),
        ({"allow_origins": [APP, "*"], "allow_credentials": True}, "would let every website act as the user"),
        ({"allow_origins": ["null"], "allow_credentials": True}, "any sandboxed page has it"),
        ({"allow_origins": APP}, "allow_origins must be a list"),
        ({"allow_origins": [APP], "allow_methods": "GET"}, "allow_methods must be a list"),
        ({"allow_origins": APP.encode()}, "allow_origins must be a list"),
        ({"allow_origins": [APP], "allow_headers": "Authorization"}, "allow_headers must be a list"),
        ({"allow_origins": [APP], "expose_headers": "X-Request-ID"}, "expose_headers must be a list"),
        ({"allow_origins": [f"{APP}/path"]}, "without a path"),
        ({"allow_origins": [f"{APP}//"]}, "without a path"),
        ({"allow_origins": [f"{APP}\n"]}, "without a path"),
        ({"allow_origins": [f"{APP}, {FOREIGN}"]}, "without a path"),
        ({"allow_origins": ["https://*"]}, "scheme://host"),
        ({"allow_origins": [None]}, "scheme://host"),
        ({"allow_origins": ["app.example"]}, "scheme://host"),
        ({"allow_origins": ["https://*.example"]}, "scheme://host"),
        ({"allow_origins": [""]}, "scheme://host"),
        ({"allow_origins": [f"{APP}?x"]}, "scheme://host"),
        ({"allow_origins": ["https://user@app.example"]}, "scheme://host"),
    ],
)
def test_dangerous_settings_do_not_start(settings: dict[str, Any], problem: str) -> None:
    """The message says what is wrong and, where it helps, what to write."""
    with pytest.raises(ConfigurationError, match=problem):
        install_cors(FastAPI(), **settings)


@pytest.mark.parametrize(
    "origin", [APP, f"{APP}/", AnyHttpUrl(APP), "HTTPS://App.Example"], ids=["plain", "slash", "pydantic", "case"]
)
def test_an_allowed_origin_may_read(origin: object) -> None:
    """Also when it was written with a slash, by pydantic, or in capitals."""
    answer = client_of(allow_origins=[origin], allow_credentials=True).get("/", headers={"Origin": APP})
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-expose-headers"] == "X-Request-ID"
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", [FOREIGN, "https://app.example.evil", "http://app.example", "null", "https://app"])
def test_a_foreign_origin_may_not(origin: str) -> None:
    """No prefix, no suffix, no other scheme."""
    client = client_of(allow_origins=[APP], allow_credentials=True)
    assert "access-control-allow-origin" not in client.get("/", headers={"Origin": origin}).headers
    preflight = client.options("/", headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers


@pytest.mark.parametrize(
    "origin", ["http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:8080", "capacitor://localhost"]
)
def test_origins_of_development_and_apps(origin: str) -> None:
    """Ports, addresses and an app's own scheme are origins too."""
    answer = client_of(allow_origins=[origin]).get("/", headers={"Origin": origin})
    assert answer.headers["access-control-allow-origin"] == origin


def test_a_preflight_answers_what_is_allowed() -> None:
    """Any method, the usual headers, and nothing else."""
    client = client_of(allow_origins=[APP])
    asked = {"Origin": APP, "Access-Control-Request-Method": "PATCH"}
    answer = client.options("/", headers={**asked, "Access-Control-Request-Headers": "authorization, content-type"})
    assert answer.status_code == 200
    assert answer.headers["access-control-max-age"] == "600"
    assert client.options("/", headers={**asked, "Access-Control-Request-Headers": "x-evil"}).status_code == 400


def test_anybody_may_read_what_is_public() -> None:
    """A wildcard without credentials is a public API's choice."""
    assert (
        client_of(allow_origins=["*"]).get("/", headers={"Origin": FOREIGN}).headers["access-control-allow-origin"]
        == "*"
    )
