"""polyfactory reads the types of a model, and makes rows or the JSON of a request."""

import pytest
from fastapi.testclient import TestClient
from polyfactory.factories.pydantic_factory import ModelFactory
from polyfactory.factories.sqlalchemy_factory import SQLAlchemyFactory
from sqlalchemy.orm import Session

from examples.users.app import User, UserIn


class UserFactory(SQLAlchemyFactory[User]):
    """Rows of users."""

    id = None  # the database numbers them


class UserInFactory(ModelFactory[UserIn]):
    """What a client sends."""


@pytest.fixture
def users(db: Session, monkeypatch: pytest.MonkeyPatch) -> type[UserFactory]:
    """The factory, writing through the session of this test."""
    monkeypatch.setattr(UserFactory, "__session__", db)
    return UserFactory


def test_a_row_is_read(client: TestClient, users: type[UserFactory]) -> None:
    """`create_sync` commits, so the application sees it; the end of the test rolls it back."""
    ada = users.create_sync(name="Ada")
    assert client.get(f"/users/{ada.id}").json() == {"id": ada.id, "email": ada.email, "name": "Ada"}


def test_a_body_is_made(client: TestClient) -> None:
    """A request's body from the model that checks it."""
    body = UserInFactory.build(name="Ada")
    assert client.post("/users/", json=body.model_dump()).json()["email"] == body.email
