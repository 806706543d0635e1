"""`fastapi_alembic`: tables from migrations, whichever env.py, with their rows, and never in another database."""

import shutil
from pathlib import Path

import alembic
import psycopg
import pytest

from tests.services import PostgresServer
from tests.testing.projects import ASYNC_SHOP, SHOP, configure

TEMPLATES = Path(alembic.__file__).parent / "templates"
EXAMPLE = Path(__file__).parents[2] / "examples" / "migrations" / "migrations" / "env.py"

INI = """
[alembic]
script_location = {location}
sqlalchemy.url = driver://user:pass@localhost/dbname
prepend_sys_path = .
path_separator = os

[loggers]
keys = root

[handlers]
keys =

[formatters]
keys =

[logger_root]
level = WARNING
handlers =
"""

FIRST = '''
"""The first, with a row."""
import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade():
    users = op.create_table(
        "users",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("email", sa.String, unique=True),
        sa.Column("only_in_the_database", sa.Integer),
    )
    op.bulk_insert(users, [{"name": "root"}])
'''

GIVEN_CONNECTION = """
from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
"""

FROM_SETTINGS = """
import os
from alembic import context
from sqlalchemy import create_engine

url = "sqlite:///production.db"
try:
    with create_engine(url).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
except {swallowed}:
    pass
"""

TEST = """
import logging
import pytest

@pytest.fixture
def anyio_backend(): return "asyncio"

@pytest.mark.parametrize("turn", range(2))
def test_seed_rows_are_there(client, turn):
    assert client.get("/users").json() == ["root"]
    client.post("/users")
    assert client.get("/users").json() == ["root", "ada (welcomed)"]
{committed}
def test_the_applications_log_goes_on(caplog):
    logging.getLogger("shop").warning("heard")
    assert "heard" in caplog.text
"""

COMMITTED = """
@pytest.mark.parametrize("turn", range(2))
def test_and_after_a_commit(client, db_committed, turn):
    test_seed_rows_are_there(client, turn)
"""

ASYNC_COMMITTED = """
@pytest.mark.anyio
@pytest.mark.parametrize("turn", range(2))
async def test_and_after_a_commit(async_client, async_db_committed, turn):
    assert (await async_client.get("/users")).json() == ["root"]
    await async_client.post("/users")
    assert (await async_client.get("/users")).json() == ["root", "ada (welcomed)"]
"""

ENVS = {
    "stock": (TEMPLATES / "generic" / "env.py").read_text(),
    "stock async": (TEMPLATES / "async" / "env.py").read_text(),
    "ours": EXAMPLE.read_text().replace("examples.migrations.app", "shop"),
    "given connection": GIVEN_CONNECTION,
}


@pytest.fixture
def migrations(pytester: pytest.Pytester) -> Path:
    """A folder with one migration, below the folder of its alembic.ini."""
    folder = pytester.path / "db" / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "versions" / "first.py").write_text(FIRST)
    (folder.parent / "alembic.ini").write_text(INI.format(location="migrations"))
    shutil.copy(TEMPLATES / "generic" / "script.py.mako", folder)
    return folder


def project(pytester: pytest.Pytester, shop: str, fastapi_db: str, addopts: str = "") -> None:
    """Make a project that is tested on migrations."""
    test = TEST.format(committed=COMMITTED if shop is SHOP else ASYNC_COMMITTED)
    pytester.makepyfile(shop=shop + "\nimport logging\nlogging.getLogger('shop')\n", test_it=test)
    configure(
        pytester,
        addopts=f"-p no:asyncio {addopts}",
        more=f"fastapi_alembic = db/alembic.ini\nfastapi_db = {fastapi_db}",
    )


@pytest.mark.parametrize("shop", [SHOP, ASYNC_SHOP], ids=["sync", "async"])
@pytest.mark.parametrize("env", ENVS)
def test_on_sqlite(env: str, shop: str, migrations: Path, pytester: pytest.Pytester) -> None:
    """Each kind of env.py makes the tables, and the rows of the migrations are there at the start of each test."""
    (migrations / "env.py").write_text(ENVS[env])
    project(pytester, shop, "sqlite://")
    pytester.runpytest_subprocess().assert_outcomes(passed=5)
    assert not (pytester.path / "real.db").exists()


@pytest.mark.services
@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize(("shop", "addopts"), [(SHOP, ""), (ASYNC_SHOP, "-n 2")], ids=["sync", "async, two workers"])
def test_on_postgresql(
    env: str, shop: str, addopts: str, migrations: Path, pytester: pytest.Pytester, postgres_server: PostgresServer
) -> None:
    """The same, in a database that is kept, twice, and in those of the workers."""
    (migrations / "env.py").write_text(ENVS[env])
    name = f"migrated_{abs(hash((env, addopts)))}"
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute(
            f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '50%'"
        )  # alembic.ini has its own percent signs
    project(pytester, shop, f"postgresql://{name}:50%25@{postgres_server.host}:{postgres_server.port}/{name}", addopts)
    pytester.runpytest_subprocess().assert_outcomes(passed=5)
    pytester.runpytest_subprocess().assert_outcomes(passed=5)


@pytest.mark.parametrize("swallowed", ["ValueError", "BaseException"])
def test_another_database_is_never_reached(swallowed: str, migrations: Path, pytester: pytest.Pytester) -> None:
    """An env.py that takes its URL elsewhere is stopped before it connects, and told how to be written."""
    (migrations / "env.py").write_text(FROM_SETTINGS.format(swallowed=swallowed))
    project(pytester, SHOP, "sqlite://")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=4, passed=1)
    result.stdout.fnmatch_lines(["*env.py connects to a sqlite database *production.db*config.get_main_option*"])
    assert not (pytester.path / "production.db").exists()
    assert not (migrations.parent / "production.db").exists()


def test_migrations_that_disagree_with_the_models(migrations: Path, pytester: pytest.Pytester) -> None:
    """A column that no migration makes is named."""
    (migrations / "env.py").write_text(ENVS["stock"])
    (migrations / "versions" / "first.py").write_text(FIRST.replace('"email"', '"mail"'))
    project(pytester, SHOP, "sqlite://")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=4, passed=1)
    result.stdout.fnmatch_lines(
        ["*differ from the models: users has no email. The migrations and the models disagree*"]
    )


def test_a_missing_configuration(pytester: pytest.Pytester) -> None:
    """The file that is looked for is named."""
    project(pytester, SHOP, "sqlite://")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=4, passed=1)
    result.stdout.fnmatch_lines(["*there is no file */db/alembic.ini*"])
