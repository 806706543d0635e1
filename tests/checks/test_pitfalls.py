"""The usual copies, in which each trap is found by its name; and applications in which none is."""

import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

from fastapi_patterns.checks._rules import RULES

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Run the command."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "SECRET_KEY": secrets.token_urlsafe(64)}
    command = [sys.executable, "-m", "fastapi_patterns", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_every_trap_is_found() -> None:
    """By every rule, at its line; the command fails, and shows no secret."""
    ran = run("check", "examples.pitfalls.main:app", "--json")
    assert ran.returncode == 1, ran.stderr
    found = json.loads(ran.stdout)
    works = {"FP505"}  # versions that cannot be installed beside this package
    works |= {"FP503"} if int(version("bcrypt").partition(".")[0]) < 5 else set()  # passlib with an older bcrypt
    assert {finding["rule"] for finding in found} == {rule.id for rule in RULES} - works
    lines = (ROOT / "examples/pitfalls/main.py").read_text().splitlines()
    (blocking,) = [finding for finding in found if finding["rule"] == "FP402"]
    assert (
        blocking["place"]
        == f"examples/pitfalls/main.py:{lines.index('    time.sleep(1)  # noqa: ASYNC251  # the trap') + 1}"
    )
    (commit,) = [finding for finding in found if finding["rule"] == "FP401"]
    assert commit["place"].startswith("examples/pitfalls/deps.py:")
    assert Counter(finding["rule"] for finding in found)["FP101"] == 2
    assert "09d25e" not in ran.stdout
    assert [finding["severity"] for finding in found] == sorted(
        (finding["severity"] for finding in found), key=["error", "warning", "info"].index
    )


def test_the_example_service_has_none() -> None:
    """With its public routes listed in its pyproject.toml, where the application is named too."""
    ran = run("check", "--fail-on", "info", cwd=ROOT / "examples" / "service")
    assert (ran.returncode, ran.stdout) == (0, "nothing found\n"), ran.stdout + ran.stderr


def test_each_rule_is_in_the_documentation() -> None:
    """With a section of its own."""
    page = (ROOT / "docs/reference/checks.md").read_text()
    assert [rule.id for rule in RULES if f"## {rule.id}: {rule.title}\n" not in page] == []


@pytest.mark.parametrize("example", ["users", "async_database", "errors", "background_tasks", "outgoing_http"])
def test_no_error_in_the_examples(example: str) -> None:
    """Applications that are made with this package; some are open to anybody, which is a warning."""
    ran = run("check", f"examples.{example}.app:app")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_routes_says_what_each_asks_for() -> None:
    """Method, path, credential, scopes, name; as JSON too."""
    ran = run("routes", "examples.pitfalls.main:app")
    assert [line.split() for line in ran.stdout.splitlines() if "/me" in line] == [
        ["GET", "/me", "OAuth2PasswordBearer", "-", "-", "me"]
    ]
    rows = json.loads(run("routes", "examples.pitfalls.main:app", "--json").stdout)
    (slow,) = [row for row in rows if row["path"] == "/slow"]
    assert slow == {"method": "GET", "path": "/slow", "auth": "-", "scopes": "-", "errors": "-", "name": "slow"}


def test_a_secret_is_as_long_as_a_key_has_to_be() -> None:
    """Another one each time, and good for SECRET_KEY."""
    from fastapi_patterns import TokenCodec, TokenConfig

    first, second = (run("secret").stdout.strip() for _ in range(2))
    assert first != second
    TokenCodec(TokenConfig(secret_key=first))


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_pair_signs(algorithm: str) -> None:
    """A private key as PEM, another one each time, which a codec takes."""
    from fastapi_patterns import Key, TokenCodec, TokenConfig

    first, second = (run("secret", "--pair", algorithm).stdout for _ in range(2))
    assert first != second
    tokens = TokenCodec(TokenConfig(keys=Key.from_pem(first, algorithm=algorithm)))
    assert tokens.decode(tokens.encode({"sub": 7})).sub == "7"


def test_routes_names_the_errors_that_are_documented(tmp_path: Path) -> None:
    """In a mounted application too."""
    (tmp_path / "shop.py").write_text(
        "from fastapi import FastAPI\n"
        "sub, app = FastAPI(), FastAPI()\n@sub.post('/items/{number}', responses={404: {}, 409: {}})\n"
        "def create(number: int): ...\napp.mount('/sub', sub)\n@app.get('/')\ndef read(): ...\n"
    )
    rows = json.loads(run("routes", "shop:app", "--json", cwd=tmp_path).stdout)
    assert {row["path"]: row["errors"] for row in rows if row["name"] in ("create", "read")} == {
        "/sub/items/{number}": "404 409 422",
        "/": "-",
    }


@pytest.mark.parametrize(
    ("arguments", "pyproject", "words"),
    [
        (["secret", "--pair", "HS256"], "", "HS256 has one secret and no pair"),
        (["secret", "--pair", "none"], "", "none"),
        (["check"], "", "name the application"),
        (["check", "nowhere:app"], "", "there is no module 'nowhere'"),
        (["check", "json:dumps_"], "", "is no FastAPI application"),
        (["check"], "[tool.fastapi-patterns.check]\npublics = []", "not publics"),
        (["check", "shop:app"], "[tool.fastapi-patterns.check]\npublic = '/x'", "public must be a list of texts"),
        (["check", "shop:app"], "[tool.fastapi-patterns.check]\nfail-on = 'all'", "fail-on must be one of"),
        (["check", "shop:app"], "[tool", "pyproject.toml cannot be read"),
    ],
)
def test_what_it_cannot_do_is_said(arguments: list[str], pyproject: str, words: str, tmp_path: Path) -> None:
    """In one line, with 2."""
    (tmp_path / "shop.py").write_text("from fastapi import FastAPI\ndef app():\n    return FastAPI()\n")
    if pyproject:
        (tmp_path / "pyproject.toml").write_text(pyproject)
    ran = run(*arguments, cwd=tmp_path)
    assert ran.returncode == 2, ran.stdout
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
