"""The example service on a SQLite file: one writer at a time, while logins write in two transactions."""

import os
import secrets
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bcrypt
import httpx2
import pytest

from examples.service.demo import free_port, process, wait_until_up

EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"
LOGIN = {"username": EMAIL, "password": PASSWORD}


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The service under uvicorn, with one account."""
    port = free_port()
    environment = {
        **os.environ,
        "SECRET_KEY": secrets.token_urlsafe(64),
        "DATABASE_URL": f"sqlite:///{tmp_path}/service.db",
    }
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "examples.service", "--port", str(port)]
    with process(command, environment, tmp_path / "service.log") as running:
        assert wait_until_up(f"{url}/health", running), (tmp_path / "service.log").read_text()
        account = {"email": EMAIL, "name": "Ada", "password": PASSWORD}
        assert httpx2.post(f"{url}/auth/register", json=account).status_code == 201
        yield url


def test_a_login_renews_an_old_hash(url: str, tmp_path: Path) -> None:
    """The store's transaction and the one that stores the new hash do not stand in each other's way."""
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    with sqlite3.connect(tmp_path / "service.db") as database:
        database.execute("UPDATE users SET password_hash = ?", (old,))
    assert httpx2.post(f"{url}/auth/login", data=LOGIN, timeout=30).status_code == 200
    (stored,) = database.execute("SELECT password_hash FROM users").fetchone()
    database.close()
    assert stored.startswith("$argon2id$")


def test_many_logins_and_logouts_at_once(url: str) -> None:
    """Everybody gets in, and out: nobody reads that the database is locked."""

    def in_and_out(_: int) -> list[int]:
        with httpx2.Client(base_url=url, timeout=30) as client:
            tokens = client.post("/auth/login", data=LOGIN).json()
            fresh = client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
            out = client.post("/auth/logout", json={"refresh_token": fresh.json()["refresh_token"]})
            return [fresh.status_code, out.status_code]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(in_and_out, range(8))) == [[200, 204]] * 8
