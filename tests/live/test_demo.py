"""The demo on a database of the user's own: a real PostgreSQL, and one that a walk must leave alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.services import PostgresServer

ROOT = Path(__file__).parent.parent.parent
DEMO = [sys.executable, "-m", "examples.service.demo"]


def walk(*arguments: str, database_url: str) -> subprocess.CompletedProcess[str]:
    """Walk with this DATABASE_URL in the environment."""
    environment = {**os.environ, "DATABASE_URL": database_url}
    command = [*DEMO, "--walk", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_walk_leaves_the_users_database_alone(tmp_path: Path) -> None:
    """A walk writes accounts; it does not touch what DATABASE_URL names."""
    walked = walk(database_url=f"sqlite:///{tmp_path}/mine.db")
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.services
def test_a_walk_can_be_taken_twice_on_a_postgresql(postgres_server: PostgresServer) -> None:
    """`--database` names a database that is kept; a second walk finds nothing in its way."""
    url = postgres_server.url(database=postgres_server.create_database("walked")).replace("+psycopg", "")
    for _ in range(2):
        walked = walk("--database", url, database_url="sqlite:///never-used.db")
        assert walked.returncode == 0, walked.stdout + walked.stderr
        assert "0 surprises" in walked.stdout


@pytest.mark.services
def test_it_serves_on_a_postgresql(postgres_server: PostgresServer) -> None:
    """With DATABASE_URL the demo serves from there, and both printed logins work, also at the second start."""
    url = postgres_server.url(database=postgres_server.create_database("served")).replace("+psycopg", "")
    for _ in range(2):
        environment = {**os.environ, "DATABASE_URL": url, "PORT": _free_port()}
        serving = subprocess.Popen(DEMO, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert serving.stdout is not None
            shown = ""
            while "Stop:" not in shown:
                line = serving.stdout.readline()
                assert line, f"the demo ended: {shown}"
                shown += line
            _both_log_in(shown)
        finally:
            serving.terminate()
            serving.communicate(timeout=30)


def _both_log_in(shown: str) -> None:
    base = re.search(r"http://\S+(?=/docs)", shown)
    assert base is not None, shown
    users = {}
    for label in ("Login", "Administrator"):
        found = re.search(rf"{label}: +(\S+) / (.+)", shown)
        assert found is not None, shown
        token = httpx2.post(f"{base[0]}/auth/login", data={"username": found[1], "password": found[2]}).json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        users[label] = httpx2.get(f"{base[0]}/admin/users", headers=headers)
    assert users["Login"].status_code == 403
    assert {user["email"] for user in users["Administrator"].json()} == {"ada@example.com", "admin@example.com"}


def _free_port() -> str:
    from examples.service.demo import free_port

    return str(free_port())
