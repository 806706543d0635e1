"""factory_boy says field by field what a row looks like."""
# mypy: disable-error-code="attr-defined,no-untyped-call,misc"

from typing import Any

import pytest
from factory import Faker, Sequence
from factory.alchemy import SQLAlchemyModelFactory
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from examples.users.app import User


@pytest.fixture
def users(db: Session) -> Any:
    """A factory of users that writes through the session of this test."""

    class UserFactory(SQLAlchemyModelFactory):
        class Meta:
            model = User
            sqlalchemy_session = db
            sqlalchemy_session_persistence = "commit"

        name = Faker("first_name")
        email = Sequence(lambda number: f"user{number}@example.com")

    return UserFactory


def test_rows_are_read(client: TestClient, users: Any) -> None:
    """Three rows with mails of their own; the end of the test rolls them back."""
    for user in users.create_batch(3):
        assert client.get(f"/users/{user.id}").json() == {"id": user.id, "email": user.email, "name": user.name}
