"""Registration, login and who may see what."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from examples.service.blocks import tokens
from examples.service.models import User

Login = Callable[..., dict[str, str]]


def test_register_answers_without_a_hash(client: TestClient, db: Session) -> None:
    """The answer shows the account, and the database holds an argon2id hash."""
    answer = client.post("/auth/register", json={"email": "a@example.com", "name": "A", "password": "three sad tigers"})
    assert answer.status_code == 201
    assert set(answer.json()) == {"id", "email", "name"}
    user = db.scalar(select(User))
    assert user is not None
    assert user.password_hash.startswith("$argon2id$")


def test_an_address_is_registered_once(client: TestClient, login: Login) -> None:
    """A second account for an address is a conflict with a code for the client's own code."""
    login("a@example.com")
    answer = client.post("/auth/register", json={"email": "a@example.com", "name": "B", "password": "three sad tigers"})
    assert answer.status_code == 409
    assert answer.json() == {"error": "This e-mail address is taken", "code": "email_taken"}


def test_registration_sends_a_welcome_mail(client: TestClient, login: Login, caplog: pytest.LogCaptureFixture) -> None:
    """The background task has run when the call returns, on the test's own transaction."""
    with caplog.at_level("INFO"):
        login()
    assert [record.message for record in caplog.records if record.name == "examples.service.mail"] == [
        "A mail to user 1: Welcome"
    ]


def test_me_shows_who_is_logged_in(client: TestClient, login: Login) -> None:
    """The protected route answers the user of the token."""
    answer = client.get("/me", headers=login("ada@example.com"))
    assert answer.status_code == 200
    assert answer.json() == {"id": 1, "email": "ada@example.com", "name": "Ada"}


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("12345678", "Use a password of at least 15 characters."),
        ("Correct Horse Battery", "This password is one of the most common ones. Use another."),
        ("lovelace@example.com", "This password is built on your name or address. Use another."),
    ],
)
def test_a_weak_password_is_refused(client: TestClient, password: str, message: str) -> None:
    """As a validation error of its field, which says what to do."""
    account = {"email": "lovelace@example.com", "name": "Ada", "password": password}
    answer = client.post("/auth/register", json=account)
    assert answer.status_code == 422
    assert answer.json() == {"errors": [{"field": "body.password", "message": message}]}


def test_a_wrong_password_and_an_unknown_user_read_the_same(client: TestClient, login: Login) -> None:
    """Nobody learns from a login who has an account."""
    login("ada@example.com")
    wrong = client.post("/auth/login", data={"username": "ada@example.com", "password": "wrong horse"})
    unknown = client.post("/auth/login", data={"username": "eve@example.com", "password": "wrong horse"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content
    assert wrong.headers["WWW-Authenticate"] == "Bearer"


def test_without_a_token_there_is_a_challenge(client: TestClient) -> None:
    """A request without credentials is a 401 that says what to send."""
    answer = client.get("/me")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_expired_token_is_refused(client: TestClient, login: Login) -> None:
    """A token is worth nothing after its time."""
    login()
    token = tokens.encode({"sub": 1}, expires_delta=timedelta(seconds=-1))
    assert client.get("/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize("subject", ["ada", "1" * 23])
def test_a_subject_that_is_no_id_is_refused(client: TestClient, login: Login, subject: str) -> None:
    """A signed token for something else than a user of ours is a bad token, not a failure."""
    login()
    token = tokens.encode({"sub": subject})
    assert client.get("/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_deactivated_user_is_refused(client: TestClient, login: Login, db: Session) -> None:
    """A token that is still good does not help a user who was switched off."""
    headers = login()
    user = db.get(User, 1)
    assert user is not None
    user.is_active = False
    db.commit()
    assert client.get("/me", headers=headers).status_code == 401


def test_only_an_administrator_lists_users(client: TestClient, login: Login, db: Session) -> None:
    """Both the token and the user must have the scope: a right that was taken away counts no more at once."""
    headers = login()
    assert client.get("/admin/users", headers=headers).status_code == 403
    user = db.get(User, 1)
    assert user is not None
    user.scopes = "admin"
    db.commit()
    assert client.get("/admin/users", headers=headers).status_code == 403
    headers = login()  # a token from before knows nothing of the new scope
    assert [found["email"] for found in client.get("/admin/users", headers=headers).json()] == ["ada@example.com"]
    user.scopes = ""
    db.commit()
    assert client.get("/admin/users", headers=headers).status_code == 403


def test_everybody_is_greeted(client: TestClient, login: Login) -> None:
    """The optional user is there for those who are logged in."""
    assert client.get("/greeting").json() == {"message": "Hello, stranger!"}
    assert client.get("/greeting", headers=login()).json() == {"message": "Hello, Ada!"}


def test_a_validation_error_names_the_field_and_keeps_the_password(client: TestClient) -> None:
    """The answer says where and what, never what was sent."""
    answer = client.post("/auth/register", json={"email": "nonsense", "password": "hunter2hunter2"})
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"body.email", "body.name"}
    assert "hunter2" not in answer.text
