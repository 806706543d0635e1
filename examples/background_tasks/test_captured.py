"""The tasks of a request are kept: the test looks at them, runs them or lets them fail."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from examples.background_tasks.app import User
from fastapi_patterns.testing import CapturedTasks


def test_the_mail_is_left_for_later(client: TestClient, captured_tasks: CapturedTasks) -> None:
    """The request leaves one task, with the id of the user."""
    user_id = client.post("/users", params={"email": "ada@example.com"}).json()["id"]
    assert captured_tasks.names == ["send_welcome"]
    assert captured_tasks[0].args == (user_id,)


def test_the_mail_is_sent_when_it_runs(client: TestClient, captured_tasks: CapturedTasks, db: Session) -> None:
    """Before that nobody is welcomed."""
    client.post("/users", params={"email": "ada@example.com"})
    assert db.query(User).filter_by(welcomed=True).count() == 0
    captured_tasks.run()
    assert db.query(User).filter_by(welcomed=True).count() == 1


def test_a_mail_server_that_is_away(
    client: TestClient, captured_tasks: CapturedTasks, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is in the log."""
    client.post("/users", params={"email": "ada@example.com"})
    captured_tasks[0].fail(ConnectionError("the mail server is away"))
    assert "Task send_welcome failed" in caplog.messages


def test_a_request_that_fails_leaves_nothing(client: TestClient, captured_tasks: CapturedTasks) -> None:
    """It was rolled back, and its task with it."""
    assert client.post("/users", params={"email": "nonsense"}).status_code == 400
    assert len(captured_tasks) == 0
