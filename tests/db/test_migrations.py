"""The env.py of the example and of the how-to keeps what it promises, on every engine."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine, inspect
from sqlalchemy.exc import OperationalError

from examples.migrations.app import Base
from fastapi_patterns import AsyncDatabase, Database
from tests.services import PostgresServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "migrations"

NEXT = '''
"""The next one."""

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "26123cc22d23"


def upgrade() -> None:
    """Migrate."""
    with op.batch_alter_table("users") as users:
        users.add_column(sa.Column("name", sa.String(), nullable=True))
        users.alter_column("email", type_=sa.String(200))
    {then}
'''


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The example's configuration, with migrations that a test may add to."""
    shutil.copytree(EXAMPLE / "migrations", tmp_path / "migrations")
    config = Config(EXAMPLE / "alembic.ini")
    config.set_main_option("script_location", str(tmp_path / "migrations"))
    return config


def _add(config: Config, then: str = "") -> None:
    folder = Path(str(config.get_main_option("script_location"))) / "versions"
    (folder / "next.py").write_text(NEXT.format(then=then))


@pytest.mark.parametrize("kind", [Database, AsyncDatabase])
def test_replacing_a_table_keeps_the_rows_that_refer_to_it(
    config: Config, tmp_path: Path, kind: type[Database]
) -> None:
    """Batch mode drops the old table: with foreign keys on, a cascade would take the other table's rows with it."""
    config.attributes["database"] = kind(f"sqlite:///{tmp_path}/test.db", metadata=Base.metadata)
    command.upgrade(config, "head")
    with closing(sqlite3.connect(tmp_path / "test.db")) as connection, connection:
        connection.execute("INSERT INTO users VALUES (1, 'a@example.com')")
        connection.execute("CREATE TABLE notes (user_id INTEGER REFERENCES users (id) ON DELETE CASCADE)")
        connection.execute("INSERT INTO notes VALUES (1)")
    _add(config)
    command.upgrade(config, "head")
    with closing(sqlite3.connect(tmp_path / "test.db")) as connection:
        assert connection.execute("SELECT user_id, name FROM notes JOIN users ON id = user_id").fetchall() == [
            (1, None)
        ]


@pytest.mark.parametrize("kind", [Database, AsyncDatabase])
def test_a_migration_that_fails_leaves_nothing(config: Config, tmp_path: Path, kind: type[Database]) -> None:
    """All steps of an upgrade are one transaction, on SQLite too."""
    config.attributes["database"] = kind(f"sqlite:///{tmp_path}/test.db", metadata=Base.metadata)
    _add(config, then="op.execute('SELECT * FROM missing')")
    with pytest.raises(OperationalError, match="missing"):
        command.upgrade(config, "head")
    engine = create_engine(f"sqlite:///{tmp_path}/test.db", poolclass=NullPool)
    assert inspect(engine).get_table_names() == []


@pytest.mark.services
@pytest.mark.parametrize(("kind", "driver"), [(Database, "psycopg"), (AsyncDatabase, "asyncpg")])
def test_postgres_is_migrated(
    config: Config, postgres_server: PostgresServer, kind: type[Database], driver: str
) -> None:
    """The same env.py on a server."""
    name = postgres_server.create_database(f"migrated_{driver}")
    config.attributes["database"] = kind(postgres_server.url(driver, name), metadata=Base.metadata)
    _add(config)
    command.upgrade(config, "head")
    engine = create_engine(postgres_server.url(database=name))
    assert {column["name"] for column in inspect(engine).get_columns("users")} == {"id", "email", "name"}
    engine.dispose()


def test_sql_can_be_written_instead(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """`alembic upgrade head --sql`: for somebody else to run."""
    config.attributes["database"] = Database("postgresql://user@host/name", metadata=Base.metadata)
    command.upgrade(config, "head", sql=True)
    assert "CONSTRAINT uq_users_email UNIQUE (email)" in capsys.readouterr().out
