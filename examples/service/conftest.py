"""What the service's tests share: a secret made before the application is imported, cheap hashing, and a login."""

import os
import secrets
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(64))

Login = Callable[..., dict[str, str]]


@pytest.fixture(autouse=True)
def cheap_passwords(fastapi_app: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash with parameters that are only good for tests."""
    from examples.service import accounts
    from fastapi_patterns.security import Argon2Params, PasswordHasher

    monkeypatch.setattr(accounts, "passwords", PasswordHasher(Argon2Params.FOR_TESTS_ONLY))


@pytest.fixture
def login(client: TestClient) -> Login:
    """Register somebody, log in and return the headers that say so."""

    def register_and_login(email: str = "ada@example.com", password: str = "correct horse") -> dict[str, str]:
        client.post("/auth/register", json={"email": email, "name": "Ada", "password": password})
        answer = client.post("/auth/login", data={"username": email, "password": password})
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    return register_and_login
