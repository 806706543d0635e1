"""Sessions: refreshed, stolen, ended."""

from typing import Any

import bcrypt
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from examples.service.conftest import PASSWORD, Login
from examples.service.models import User

EMAIL = "ada@example.com"


def log_in(client: TestClient, password: str = PASSWORD) -> dict[str, Any]:
    """Log in and return the answer's body."""
    return client.post("/auth/login", data={"username": EMAIL, "password": password}).json()  # type: ignore[no-any-return]


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    """Headers with the access token."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def test_a_refresh_token_is_exchanged(client: TestClient, login: Login) -> None:
    """For new tokens; the second use of one ends the session, for the thief and for the user."""
    login(EMAIL)
    first = log_in(client)
    assert sorted(first) == ["access_token", "expires_in", "refresh_token", "token_type"]
    second = client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    assert client.get("/me", headers=bearer(second.json())).status_code == 200
    again = client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert (again.status_code, again.json()) == (401, {"detail": "The session has ended"})
    assert client.get("/me", headers=bearer(second.json())).status_code == 401


def test_a_logout_ends_one_session_and_another_all(client: TestClient, login: Login) -> None:
    """Access tokens are dead at once, since each request asks."""
    login(EMAIL)
    here, there, elsewhere = (log_in(client) for _ in range(3))
    assert client.post("/auth/logout", json={"refresh_token": here["refresh_token"]}).status_code == 204
    statuses = [client.get("/me", headers=bearer(each)).status_code for each in (here, there, elsewhere)]
    assert statuses == [401, 200, 200]
    assert client.post("/auth/logout-all", headers=bearer(there)).status_code == 204
    assert client.get("/me", headers=bearer(elsewhere)).status_code == 401


def test_a_deactivated_user_gets_no_new_token(client: TestClient, login: Login, db: Session) -> None:
    """The session is over."""
    login(EMAIL)
    tokens = log_in(client)
    user = db.scalars(select(User)).one()
    user.is_active = False
    db.commit()
    assert client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 401
    assert "access_token" not in log_in(client)


def test_a_login_renews_an_old_hash(client: TestClient, login: Login, db: Session) -> None:
    """From bcrypt to argon2id, without anybody noticing."""
    login(EMAIL)
    user = db.scalars(select(User)).one()
    user.password_hash = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    db.commit()
    assert "access_token" in log_in(client)
    db.refresh(user)
    assert user.password_hash.startswith("$argon2id$")
