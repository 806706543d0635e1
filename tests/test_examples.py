"""The examples' own suites, each run as a project of its own, as its reader would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECTS = sorted(path.parent for path in ROOT.glob("examples/*/pyproject.toml"))


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_example(project: Path) -> None:
    """The example's tests pass through the plugin alone, with the example's own configuration."""
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(project / "pyproject.toml"), str(project)]
    if project.name != "service":  # where it takes longer to start than the tests take
        command += ["-p", "no:schemathesis"]
    # Nothing of this suite's own run may leak in: no options, no secret, no worker of pytest-xdist.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_")) and name not in ("SECRET_KEY", "DATABASE_URL")
    }
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout


@pytest.mark.parametrize(
    ("project", "path"),
    [("users", "/users/"), ("async_database", "/notes?title=a"), ("background_tasks", "/users?email=ada@example.com")],
)
def test_a_first_request_finds_its_tables(project: str, path: str, tmp_path: Path) -> None:
    """Started for the first time, as uvicorn starts it, an example with a database stores what it is sent."""
    code = f"""
from fastapi.testclient import TestClient
from examples.{project}.app import app
with TestClient(app) as client:
    print(client.post({path!r}, json={{"email": "ada@example.com", "name": "Ada"}}).json()["id"])
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    for expected in ("1", "2") if project == "background_tasks" else ("1",):  # the second start finds the tables
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ran.stdout.strip() == expected, ran.stderr
