"""The password vectors through the runner, and the runner itself."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fastapi_patterns.security import PasswordError, PasswordHasher
from tests.vectors import run as runner
from tests.vectors.run_passwords import run

VECTORS = Path(__file__).parent.parent / "vectors" / "passwords.json"
RIGHT = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"


@pytest.mark.parametrize("path", [VECTORS, *filter(None, [os.environ.get("PUBLISHED_PASSWORDS")])])
def test_every_vector_gets_its_verdict(path: Path | str, capsys: pytest.CaptureFixture[str]) -> None:
    """None is wrong and nothing foreign leaves; a second file may be named by the environment."""
    cases = json.loads(Path(path).read_text())["cases"]
    assert runner.main([str(path)]) == 0
    assert capsys.readouterr().out == f"{len(cases)} cases, 0 wrong, 0 foreign exceptions\n"


def vectors(tmp_path: Path, *expected: Any) -> str:
    """Write a file of cases that ask for the right password with these expectations."""
    cases = [
        {"id": f"c{at}", "hash": RIGHT, "expect": each, "password": "password"} for at, each in enumerate(expected)
    ]
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"cases": cases}))
    return str(path)


def test_a_wrong_verdict_is_listed_and_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The wrong one is named, the right one and the one without a verdict are not."""
    assert runner.main([vectors(tmp_path, False, True, "no_crash")]) == 1
    assert capsys.readouterr().out == "c0: expected False, got True\n3 cases, 1 wrong, 0 foreign exceptions\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (LookupError("x"), "c0: expected True, got LookupError\n1 cases, 0 wrong, 1 foreign exceptions\n"),
        (PasswordError("x"), "c0: expected True, got False\n1 cases, 1 wrong, 0 foreign exceptions\n"),
    ],
)
def test_an_exception_is_foreign_unless_it_is_ours(
    error: Exception,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ours is a refusal; any other is counted apart."""

    def fail(*_: object) -> bool:
        raise error

    monkeypatch.setattr(PasswordHasher, "verify", fail)
    assert runner.main([vectors(tmp_path, True)]) == 1
    assert capsys.readouterr().out == line


def test_a_slow_case_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict after two seconds of work is none."""
    clock = iter([0.0, 2.5])
    monkeypatch.setattr("time.process_time", lambda: next(clock))
    (result,) = run([{"id": "c", "hash": RIGHT, "expect": True, "password": "password"}])
    assert (result.wrong, result.got) == (True, "True after 2.5 s")


@pytest.mark.parametrize(
    ("form", "matched"),
    [
        ({"password_hex": "70617373776f7264"}, True),
        ({"password_gen": {"unit": "pass", "n": 1}}, False),
        ({"password": "password"}, True),
    ],
)
def test_a_password_comes_in_three_forms(form: dict[str, Any], matched: bool) -> None:
    """As text, as bytes in hex, and as something repeated."""
    (result,) = run([{"id": "c", "hash": RIGHT, "expect": matched, **form}])
    assert (result.wrong, result.got) == (False, str(matched))


def test_how_to_use_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file there is a line of usage."""
    assert runner.main([]) == 2
    assert capsys.readouterr().err == "usage: python -m tests.vectors.run FILE\n"
