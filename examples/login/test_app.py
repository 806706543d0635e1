"""The tests of the tutorial "First steps"."""

from collections.abc import Callable

from fastapi.testclient import TestClient


def test_me_needs_a_login(client: TestClient) -> None:
    """A stranger is told to log in."""
    answer = client.get("/me")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_ada_sees_her_page(client: TestClient) -> None:
    """Whoever knows the password gets a token, and with it in."""
    login = client.post("/login", data={"username": "ada", "password": "correct horse"})
    headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
    assert client.get("/me", headers=headers).json() == {"name": "ada"}


def test_no_route_is_open_by_accident(assert_routes_protected: Callable[..., None]) -> None:
    """A route without a user fails this, unless it is named here."""
    assert_routes_protected(public=["POST /login", "GET /hello"], public_docs=True)
