"""Links by mail: a new password, and an address that is somebody's own."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from examples.service.conftest import PASSWORD, Login
from examples.service.models import User

EMAIL, NEW = "ada@example.com", "three sad tigers in a field"
Mails = Callable[[], list[str]]


def token_of(mail: str) -> str:
    """Find the link in a mail."""
    return mail.split()[-1]


def test_a_forgotten_password_is_replaced_once(client: TestClient, login: Login, mails: Mails) -> None:
    """The new one works, the old one and all sessions do not, nor does the link a second time."""
    headers = login(EMAIL)
    mails()
    client.post("/auth/password/forgotten", json={"email": EMAIL})
    (mail,) = mails()
    assert mail.startswith(f"To: {EMAIL}\nSubject: A new password\n")
    new = {"token": token_of(mail), "password": NEW}
    assert client.post("/auth/password/reset", json=new).status_code == 204
    assert client.get("/me", headers=headers).status_code == 401
    for password, status in ((PASSWORD, 401), (NEW, 200)):
        answer = client.post("/auth/login", data={"username": EMAIL, "password": password})
        assert answer.status_code == status
    again = client.post("/auth/password/reset", json=new)
    assert (again.status_code, again.json()["code"]) == (400, "link_expired")


def test_a_weak_new_password_does_not_use_the_link_up(client: TestClient, login: Login, mails: Mails) -> None:
    """The user may think of a better one."""
    login(EMAIL)
    mails()
    client.post("/auth/password/forgotten", json={"email": EMAIL})
    token = token_of(mails()[0])
    assert client.post("/auth/password/reset", json={"token": token, "password": "short"}).status_code == 422
    assert client.post("/auth/password/reset", json={"token": token, "password": NEW}).status_code == 204


@pytest.mark.parametrize("path", ["/auth/password/forgotten", "/auth/email/send"])
def test_the_answer_does_not_tell_who_has_an_account(client: TestClient, login: Login, mails: Mails, path: str) -> None:
    """It is the same for an address that nobody has, and only the other one gets a mail."""
    login(EMAIL)
    mails()
    known, unknown = (client.post(path, json={"email": email}) for email in (EMAIL, "nobody@example.com"))
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (202, unknown.content)
    assert [mail.splitlines()[0] for mail in mails()] == [f"To: {EMAIL}"]


def test_an_address_is_checked_once(client: TestClient, login: Login, mails: Mails, db: Session) -> None:
    """With the link of the welcome mail, which does nothing else."""
    login(EMAIL)
    token = token_of(mails()[0])
    assert client.post("/auth/password/reset", json={"token": token, "password": NEW}).status_code == 400
    assert client.post("/auth/email/check", json={"token": token}).status_code == 204
    assert db.scalars(select(User)).one().email_verified
    assert client.post("/auth/email/check", json={"token": token}).status_code == 400
    client.post("/auth/email/send", json={"email": EMAIL})
    assert mails() == []  # there is nothing left to check


def test_a_link_is_in_no_log(client: TestClient, login: Login, mails: Mails, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads logs could use it."""
    with caplog.at_level("DEBUG"):
        login(EMAIL)
        client.post("/auth/password/forgotten", json={"email": EMAIL})
    tokens = [token_of(mail) for mail in mails()]
    assert len(tokens) == 2
    assert not any(token in caplog.text for token in tokens)
