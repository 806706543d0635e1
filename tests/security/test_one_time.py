"""One-time tokens: for one purpose, bound to what their use changes, used once."""

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import (
    OneTimeTokens,
    TokenClaimsError,
    TokenCodec,
    TokenConfig,
    TokenError,
    TokenExpiredError,
)

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECRET = "S3cr3t-of-the-tests-0123456789-abc"
PURPOSES = ("password-reset", "email-check", "invitation")


def tokens(purpose: str = "password-reset", at: datetime = NOW, secret: Any = SECRET) -> OneTimeTokens:
    """Tokens whose clock stands still."""
    return OneTimeTokens(secret, purpose=purpose, expires_delta=timedelta(hours=1), now=lambda: at)


def test_a_token_works_while_the_state_stays() -> None:
    """And not any more when its use has changed it."""
    token = tokens().issue(7, state="$argon2id$old")
    assert tokens().subject_of(token) == "7"
    assert tokens().verify(token, state="$argon2id$old").int_sub == 7
    with pytest.raises(TokenClaimsError, match="the token was used"):
        tokens().verify(token, state="$argon2id$new")


def test_a_token_ends() -> None:
    """After its lifetime, whatever the state."""
    token, late = tokens().issue(7, state="x"), tokens(at=NOW + timedelta(hours=1))
    with pytest.raises(TokenExpiredError):
        late.verify(token, state="x")
    with pytest.raises(TokenExpiredError):
        late.subject_of(token)


@pytest.mark.parametrize(
    ("state", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a", None), ("a", "None")),
        (1, "1"),
        (1, True),
        (b"a", "a"),
        ("a", ("a", "")),
        (None, ""),
        (("ada@shop.example", False), ("ada@shop.example", True)),
    ],
)
def test_states_that_differ_are_different(state: Any, other: Any) -> None:
    """Values keep their type and their ends."""
    token = tokens().issue("ada", state=state)
    assert tokens().verify(token, state=state).sub == "ada"
    with pytest.raises(TokenClaimsError):
        tokens().verify(token, state=other)


def test_no_token_of_another_purpose_is_taken() -> None:
    """An n by n table accepts only the diagonal, access tokens included."""
    made = {purpose: tokens(purpose).issue(7, state="x") for purpose in PURPOSES}
    made["access"] = TokenCodec(TokenConfig(secret_key=SECRET), now=lambda: NOW).encode({"sub": 7, "state": "x"})
    for purpose in PURPOSES:
        for kind, token in made.items():
            if kind == purpose:
                assert tokens(purpose).verify(token, state="x").sub == "7"
            else:
                with pytest.raises(TokenError):
                    tokens(purpose).verify(token, state="x")
    for purpose in PURPOSES:
        with pytest.raises(TokenError):
            TokenCodec(TokenConfig(secret_key=SECRET), now=lambda: NOW).decode(made[purpose])


def test_the_token_tells_nothing_of_the_state() -> None:
    """A hash or an address is not in it, nor in a repr or an error."""
    token = tokens().issue(7, state="ada@shop.example")
    with pytest.raises(TokenError) as caught:
        tokens().verify(token, state="bob@shop.example")
    for text in (token, repr(tokens()), str(caught.value), str(tokens().verify(token, state="ada@shop.example"))):
        assert "shop.example" not in text
        assert SECRET not in text


@pytest.mark.parametrize("state", [1.5, ["a"], object(), (("a",),), {"a": 1}])
def test_a_state_is_of_plain_values(state: Any) -> None:
    """Anything else would compare by chance."""
    with pytest.raises(ValueError, match="state must be text, bytes"):
        tokens().issue(7, state=state)


def test_subjects_are_ids() -> None:
    """As in access tokens."""
    subject = UUID(int=7)
    assert tokens().verify(tokens().issue(subject, state="x"), state="x").uuid_sub == subject
    with pytest.raises(ValueError, match="non-empty"):
        tokens().issue("", state="x")


def test_the_secret_may_be_a_function() -> None:
    """Asked on each use; what it gives is checked."""
    current = [SECRET]
    made = tokens(secret=lambda: current[0])
    token = made.issue(7, state="x")
    current[0] = "An0ther-secret-of-the-tests-9876543210"
    with pytest.raises(TokenError):
        made.verify(token, state="x")
    current[0] = "weak"
    with pytest.raises(ConfigurationError, match="at least 32 bytes"):
        made.verify(token, state="x")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"secret_key": "short"}, "at least 32 bytes"),
        ({"purpose": "Password Reset"}, "purpose must be a name"),
        ({"purpose": "access"}, "purpose must not be"),
        ({"purpose": ""}, "purpose must be a name"),
        ({"expires_delta": timedelta(0)}, "expires_delta must be positive"),
        ({"now": 5}, "now must be a function"),
        ({"expires_delta": 3600}, "expires_delta must be a timedelta"),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, Any], problem: str) -> None:
    """When it is made."""
    good: dict[str, Any] = {"secret_key": SECRET, "purpose": "reset", "expires_delta": timedelta(hours=1)}
    with pytest.raises(ConfigurationError, match=problem):
        OneTimeTokens(**{**good, **settings})


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A table with one user."""
    path = tmp_path / "users.db"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, password_hash TEXT)")
        connection.execute("INSERT INTO users VALUES (7, 'old')")
    connection.close()
    return path


def test_of_fifty_uses_at_once_one_wins(rows: Path) -> None:
    """The row is changed only where it is still the same."""
    resets = tokens()
    token = resets.issue(7, state="old")
    barrier, won = threading.Barrier(50), []

    def use(number: int) -> None:
        connection = sqlite3.connect(rows, timeout=30)
        barrier.wait()
        (state,) = connection.execute("SELECT password_hash FROM users WHERE id = 7").fetchone()
        try:
            resets.verify(token, state=state)
        except TokenError:
            connection.close()
            return
        with connection:
            changed = connection.execute(
                "UPDATE users SET password_hash = ? WHERE id = 7 AND password_hash = ?", (f"new {number}", state)
            )
        won.extend([number] * changed.rowcount)
        connection.close()

    threads = [threading.Thread(target=use, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
