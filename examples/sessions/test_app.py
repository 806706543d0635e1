"""From an account to the end of its session."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from fastapi_patterns.testing import FrozenClock

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


def test_an_access_token_ends(client: TestClient, tokens: dict[str, str], frozen_clock: FrozenClock) -> None:
    """After fifteen minutes, to the second."""
    frozen_clock.tick(timedelta(minutes=15) - timedelta(seconds=1))
    assert client.get("/me", headers=bearer(tokens)).status_code == 200
    frozen_clock.tick(1)
    assert client.get("/me", headers=bearer(tokens)).status_code == 401


def test_a_session_ends_when_it_is_not_used(
    client: TestClient, tokens: dict[str, str], frozen_clock: FrozenClock
) -> None:
    """After fourteen days; each refresh begins them anew."""
    for days, status in ((13, 200), (13, 200), (14, 401)):
        frozen_clock.tick(timedelta(days=days))
        answer = client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert answer.status_code == status
        tokens.update(answer.json())
