"""The tasks of a request are done when the call returns."""

from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from examples.background_tasks.app import User


def test_the_mail_is_sent(client: TestClient, db: Session) -> None:
    """The task found the committed row."""
    user_id = client.post("/users", params={"email": "ada@example.com"}).json()["id"]
    user = db.get(User, user_id)
    assert user is not None
    assert user.welcomed is True


def test_a_request_that_fails_sends_nothing(client: TestClient, db: Session) -> None:
    """Neither a row nor a mail."""
    assert client.post("/users", params={"email": "nonsense"}).status_code == 400
    assert db.query(User).count() == 0
