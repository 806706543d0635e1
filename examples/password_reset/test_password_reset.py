"""Links work once, for what they were made for, and tell nobody who has an account."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from examples.password_reset.app import User, checks, database, outbox, passwords, tokens


@pytest.fixture(autouse=True)
def ada(db: object) -> None:
    """One user with a password, inside the test's transaction; an empty outbox."""
    outbox.clear()
    with database.session_scope() as session:
        session.add(User(id=7, email="ada@shop.example", password_hash=passwords.hash("the old password")))


def user() -> User:
    """The user as stored."""
    with database.session_scope() as session:
        return session.scalars(select(User)).one()


def test_a_reset_link_works_once(client: TestClient) -> None:
    """The password is the new one, and sessions from before it are over."""
    assert client.post("/password/forgotten", json={"email": "ada@shop.example"}).status_code == 202
    ((address, token),) = outbox
    new = {"token": token, "password": "a much better password"}
    assert address == "ada@shop.example"
    assert client.post("/password/reset", json=new).status_code == 204
    assert passwords.verify("a much better password", user().password_hash)
    assert user().session_version == 1
    again = client.post("/password/reset", json=new)
    assert (again.status_code, again.json()["error"]) == (400, "This link does not work any more. Ask for a new one.")


def test_a_reset_ends_all_sessions(client: TestClient) -> None:
    """A token from before says an older version than the row, and is refused; a new login works."""
    form = {"username": "ada@shop.example", "password": "the old password"}
    old = {"Authorization": f"Bearer {client.post('/login', data=form).json()['access_token']}"}
    assert client.get("/me", headers=old).json() == {"email": "ada@shop.example"}
    client.post("/password/forgotten", json={"email": "ada@shop.example"})
    new = {"token": outbox[0][1], "password": "a much better password"}
    assert client.post("/password/reset", json=new).status_code == 204
    assert client.get("/me", headers=old).status_code == 401
    assert client.post("/login", data=form).status_code == 401
    answer = client.post("/login", data=form | {"password": "a much better password"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    again = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert client.get("/me", headers=again).status_code == 200


@pytest.mark.parametrize("claims", [{"sub": 7}, {"sub": 7, "ver": 1}, {"sub": 8, "ver": 0}])
def test_a_token_of_no_session_is_refused(client: TestClient, claims: dict[str, int]) -> None:
    """One that says no version, one that never was, and somebody who is not there."""
    headers = {"Authorization": f"Bearer {tokens.encode(claims)}"}
    assert client.get("/me", headers=headers).status_code == 401


def test_the_answer_does_not_tell_who_has_an_account(client: TestClient) -> None:
    """The same for an address that nobody has."""
    known = client.post("/password/forgotten", json={"email": "ada@shop.example"})
    unknown = client.post("/password/forgotten", json={"email": "nobody@shop.example"})
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert [address for address, _ in outbox] == ["ada@shop.example"]


def test_a_link_of_another_kind_does_not_work(client: TestClient) -> None:
    """An address check resets no password."""
    token = checks.issue(7, state=("ada@shop.example", False))
    refused = client.post("/password/reset", json={"token": token, "password": "a much better password"})
    assert refused.status_code == 400


def test_an_address_is_checked_once_and_only_as_it_was(client: TestClient) -> None:
    """A link for the address before the last change is worthless."""
    stale = checks.issue(7, state=("ada@old.example", False))
    token = checks.issue(7, state=("ada@shop.example", False))
    assert client.post("/email/check", json={"token": stale}).status_code == 400
    assert client.post("/email/check", json={"token": token}).status_code == 204
    assert user().email_verified
    assert client.post("/email/check", json={"token": token}).status_code == 400


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_nonsense_is_refused(client: TestClient, token: str) -> None:
    """With the same answer."""
    assert client.post("/email/check", json={"token": token}).status_code == 400
