"""The migrations run, both ways, and lead to the tables that the models describe."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from fastapi.testclient import TestClient
from sqlalchemy import Engine, NullPool, create_engine, inspect

from examples.migrations.app import Base
from fastapi_patterns import AsyncDatabase, Database


@pytest.fixture(params=[Database, AsyncDatabase])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """Alembic's configuration, for an empty database of the test's own."""
    config = Config(Path(__file__).parent / "alembic.ini")
    config.attributes["database"] = request.param(f"sqlite:///{tmp_path}/test.db", metadata=Base.metadata)
    return config


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """What looks at the tables."""
    return create_engine(f"sqlite:///{tmp_path}/test.db", poolclass=NullPool)


def test_models_and_migrations_agree(config: Config, engine: Engine) -> None:
    """A model that was changed without a migration fails here."""
    command.upgrade(config, "head")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_upgrade_and_downgrade(config: Config, engine: Engine) -> None:
    """Up, all the way down, and up again."""
    command.upgrade(config, "head")
    command.downgrade(config, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    command.upgrade(config, "head")
    assert "users" in inspect(engine).get_table_names()


def test_a_taken_email(client: TestClient) -> None:
    """The constraint has the name that the application's answer goes by."""
    assert client.post("/users", params={"email": "a@example.com"}).status_code == 200
    answer = client.post("/users", params={"email": "a@example.com"})
    assert (answer.status_code, answer.json()) == (409, {"error": "E-mail is taken"})
