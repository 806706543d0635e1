"""The pages "Coming from": each diff applies, and clients see of both applications what the page says."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = {
    "usual-copies": "usual_copies",
    "full-stack-template": "template",
    "from-fastapi-users": "fastapi_users_app",
    "from-authx": "authx_app",
    "jose-and-passlib": "jose_and_passlib",
    "correlation-id": "correlation_id",
    "structlog-recipe": "structlog_recipe",
}
LOGS = ("correlation_id", "structlog_recipe")
NEEDS = {"fastapi_users_app": "fastapi_users", "authx_app": "authx", "correlation_id": "asgi_correlation_id"}
SECRET = "Zq7xLw2pGh5-k9Vt4mRbXs8_Ny3cDf6jQe1uTa0oWz7i"
# What an application says of its own: where accounts are made, and what its tokens hold.
KNOWN: dict[str, dict[str, Any]] = {
    "fastapi_users_app": {"users": "/register", "claims": {"aud": ["fastapi-users:auth"]}}
}
NEVER_BETTER = {"a token that never ends": (200, 401), "the token": None}
NO_ECHO = {"the password in that answer": (True, False)}
HAS_ID = {"a request id": (False, True), "an id that was sent": (None, "0123456789")}
HAS_CHALLENGE = {"the challenge": (None, "Bearer")}
NO_500 = {"a token of depth": (500, 401)}
# What is not as it was, and no more: before and after.
CHANGES: dict[str, dict[str, Any]] = {
    "usual_copies": {**NEVER_BETTER, **NO_ECHO, **NO_500},
    "template": {**NEVER_BETTER, **NO_ECHO, **HAS_ID, **NO_500, "an expired token": (403, 401)},
    "fastapi_users_app": {
        **NEVER_BETTER,
        **NO_ECHO,
        **HAS_ID,
        **HAS_CHALLENGE,
        "no token": ([401, {"detail": "Unauthorized"}], [401, {"detail": "Not authenticated"}]),
    },
    "authx_app": {
        **NEVER_BETTER,
        **NO_ECHO,
        **HAS_ID,
        **HAS_CHALLENGE,
        "no token": (
            [401, {"message": "Token Error", "error_type": "MissingTokenError"}],
            [401, {"detail": "Not authenticated"}],
        ),
        "an expired token": (422, 401),
        "a token of depth": (422, 401),
    },
    "jose_and_passlib": {**NEVER_BETTER, **NO_500},
}


@pytest.fixture
def both(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """The application before, and after the diff was applied to it."""
    folder = ROOT / "examples" / "coming_from" / request.param
    before, after = tmp_path / "before", tmp_path / "after"
    shutil.copytree(folder / "before", before, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(before, after)
    git = ["git", "apply", str(folder / "after.diff")]
    subprocess.run(git, cwd=after, check=True, env=_without_git())
    return before, after


@pytest.mark.parametrize("both", CHANGES, indirect=True)
def test_clients_see_what_they_saw(both: tuple[Path, Path], request: pytest.FixtureRequest) -> None:
    """But for what the page calls better; tokens and passwords of before are good after."""
    name = request.node.callspec.params["both"]
    before, after = both
    now = facts(after, KNOWN.get(name, {}))
    for what, change in CHANGES[name].items():
        if change is not None:
            assert now[what] == change[1], what
    if not runs(name):
        pytest.skip(f"{NEEDS[name]} cannot be installed here")
    then = facts(before, KNOWN.get(name, {}))
    for what in then:
        assert (then[what], now[what]) == CHANGES[name].get(what, (then[what], then[what])) or what == "the token", what
    if (before / "app.db").exists():
        shutil.copy(before / "app.db", after / "app.db")
    assert facts(after, {**KNOWN.get(name, {}), "token": then["the token"]}) == {
        "a token of before": 200,
        "a password of before": 200,
    }


@pytest.mark.parametrize("both", LOGS, indirect=True)
def test_the_log_has_what_it_had(both: tuple[Path, Path], request: pytest.FixtureRequest) -> None:
    """And an error that nobody answers has its id, in the answer and in the log."""
    before, after = both
    now = facts(after, {}, "facts_of_logs.py")
    for path, sent in (("/broken", "no id was sent"), ("/broken", "an id was sent")):
        found = now[f"{path}, {sent}"]
        assert (found["status"], found["the answer has the id"], found["tracebacks"]) == (500, True, 1)
        assert found["lines with the id"] >= 1
    if not runs(request.node.callspec.params["both"]):
        pytest.skip("asgi-correlation-id is not installed")
    then = facts(before, {}, "facts_of_logs.py")
    assert {what: now[what] for what in now if "/ping" in what} == {
        what: then[what] for what in then if "/ping" in what
    }
    assert not any(then[what]["the answer has the id"] for what in then if "/broken" in what)


@pytest.mark.parametrize(("page", "name"), PAGES.items())
def test_the_page_counts_right(page: str, name: str) -> None:
    """How many lines go and come, and which diff it shows."""
    text = (ROOT / "docs" / "coming-from" / f"{page}.md").read_text()
    lines = (ROOT / "examples" / "coming_from" / name / "after.diff").read_text().splitlines()
    gone = sum(line.startswith("-") and not line.startswith("--- ") for line in lines)
    come = sum(line.startswith("+") and not line.startswith("+++ ") for line in lines)
    counted = re.search(r"^(\d+) lines go, (\d+) come:$", text, re.MULTILINE)
    assert counted is not None
    assert (int(counted[1]), int(counted[2])) == (gone, come)
    assert f"examples/coming_from/{name}/after.diff" in text


@cache
def runs(name: str) -> bool:
    """Whether the application of before can run here."""
    return name not in NEEDS or find_spec(NEEDS[name]) is not None


def facts(folder: Path, known: dict[str, Any], script: str = "facts.py") -> dict[str, Any]:
    """Ask an application, in a process of its own."""
    environment = {**os.environ, "SECRET_KEY": SECRET, "KNOWN": json.dumps(known)}
    command = [sys.executable, str(ROOT / "tests" / "docs" / script)]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return result


def _without_git() -> dict[str, str]:
    """Let `git apply` work in a folder that is in no repository."""
    return {**os.environ, "GIT_CEILING_DIRECTORIES": "/"}
