"""The same pages, as a user who needs no password: `login_as` and `auth_headers` come from the plugin."""

from collections.abc import Callable

from fastapi.testclient import TestClient

from examples.login.app import USERS
from fastapi_patterns.testing import LoginAs


def test_own_page(client: TestClient, login_as: LoginAs) -> None:
    """Here a token's subject is the name; with `user.id` as the subject it would be `login_as(user)`."""
    login_as("eve")
    assert client.get("/me").json() == {"name": "eve"}
    assert client.get("/admin").status_code == 403


def test_scopes(client: TestClient, login_as: LoginAs) -> None:
    """A login as a block ends with it."""
    with login_as("eve", scopes=["reports:read"]):
        assert client.get("/reports").json() == {"reader": "eve"}
    assert client.get("/reports").status_code == 401


def test_two_users(client: TestClient, auth_headers: Callable[..., dict[str, str]]) -> None:
    """Headers, for a request here and there."""
    assert client.get("/admin", headers=auth_headers("ada")).status_code == 200
    assert client.get("/admin", headers=auth_headers("eve")).status_code == 403


def test_without_a_token(client: TestClient, login_as: LoginAs) -> None:
    """The user as it is, with every scope; nothing is loaded, checks still run."""
    login_as(USERS["eve"], mode="override")
    assert client.get("/reports").json() == {"reader": "eve"}
    assert client.get("/admin").status_code == 403


def test_strangers_reach_only_these(assert_routes_protected: Callable[..., None]) -> None:
    """A new route without a user fails this test."""
    assert_routes_protected(public=["POST /login", "GET /hello"], public_docs=True)
