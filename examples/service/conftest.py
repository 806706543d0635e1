"""What the service's tests share: a secret made before the application is imported, cheap hashing, and a login."""

import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(64))

from examples.service import blocks
from fastapi_patterns.security import Argon2Params, PasswordHasher

# Before the routes are imported, and take it: parameters that are only good for tests.
blocks.passwords = PasswordHasher(Argon2Params.FOR_TESTS_ONLY)

# Where it is not installed, the routes are not fuzzed.
collect_ignore = [] if find_spec("schemathesis") else ["test_api.py"]

PASSWORD = "correct horse battery staple"
Login = Callable[..., dict[str, str]]


@pytest.fixture
def login(client: TestClient) -> Login:
    """Register somebody, log in and return the headers that say so."""

    def register_and_login(email: str = "ada@example.com", password: str = PASSWORD) -> dict[str, str]:
        client.post("/auth/register", json={"email": email, "name": "Ada", "password": password})
        answer = client.post("/auth/login", data={"username": email, "password": password})
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    return register_and_login


@pytest.fixture
def mails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Collect the mails in a folder of the test, and give those that came since the last look."""
    monkeypatch.setattr("examples.service.mail.settings", replace(blocks.settings, mail_dir=tmp_path))
    seen: set[Path] = set()

    def since_the_last_look() -> list[str]:
        new = [path for path in tmp_path.glob("*.txt") if path not in seen]
        seen.update(new)
        return [path.read_text() for path in new]

    return since_the_last_look
