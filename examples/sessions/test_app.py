"""From an account to the end of its session."""

import pytest
from fastapi.testclient import TestClient

ADA = {"name": "ada", "password": "correct horse battery staple"}
LOGIN = {"username": ADA["name"], "password": ADA["password"]}


@pytest.fixture
def tokens(client: TestClient) -> dict[str, str]:
    """What Ada gets when she logs in."""
    assert client.post("/register", json=ADA).status_code == 201
    answer = client.post("/auth/login", data=LOGIN)
    assert answer.status_code == 200
    return dict(answer.json())


def bearer(tokens: dict[str, str]) -> dict[str, str]:
    """Headers with an access token."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def test_me_is_for_those_who_are_logged_in(client: TestClient, tokens: dict[str, str]) -> None:
    """Everybody else is asked to."""
    assert client.get("/me", headers=bearer(tokens)).json() == {"name": "ada"}
    stranger = client.get("/me")
    assert (stranger.status_code, stranger.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_a_logout_ends_the_session(client: TestClient, tokens: dict[str, str]) -> None:
    """Its access token too."""
    assert client.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]}).status_code == 204
    assert client.get("/me", headers=bearer(tokens)).status_code == 401


def test_a_stolen_refresh_token_is_found_out(client: TestClient, tokens: dict[str, str]) -> None:
    """The second use ends the session, whoever was first."""
    stolen = {"refresh_token": tokens["refresh_token"]}
    thief = client.post("/auth/refresh", json=stolen)
    assert thief.status_code == 200
    assert client.post("/auth/refresh", json=stolen).status_code == 401
    assert client.get("/me", headers=bearer(thief.json())).status_code == 401


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong"), ("nobody", ADA["password"])])
def test_a_refused_login_tells_nothing(client: TestClient, tokens: dict[str, str], name: str, password: str) -> None:
    """Whether the name exists or not, the answer is the same."""
    answer = client.post("/auth/login", data={"username": name, "password": password})
    assert (answer.status_code, answer.json()) == (401, {"detail": "Wrong user name or password"})


def test_a_short_password_is_refused(client: TestClient) -> None:
    """The answer says what to do."""
    answer = client.post("/register", json={"name": "eve", "password": "hunter2"})
    assert (answer.status_code, answer.json()) == (400, {"error": "Use a password of at least 15 characters."})
