"""A name in `constraints` that no table has answers nothing: the log says so when the application starts."""

import logging
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    insert,
)

from fastapi_patterns import AsyncDatabase, Database, install_stack
from fastapi_patterns.db._names import unknown_names

CONVENTION = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


def tables(**options: Any) -> MetaData:
    """Two tables with constraints of every kind."""
    metadata = MetaData(**options)
    Table("owners", metadata, Column("id", Integer, primary_key=True), Column("name", Integer, unique=True))
    Table(
        "things",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("owner_id", ForeignKey("owners.id")),
        Column("code", Integer),
        Column("flag", Boolean(name="flag_is_bool", create_constraint=True)),
        UniqueConstraint("code", name="one_code"),
        CheckConstraint("code > 0", name="positive"),
        Index("ix_of_code", "code", unique=True),
        Index("ix_of_owner", "owner_id"),
    )
    return metadata


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("one_code", "positive", "flag_is_bool", "ix_of_code"), {}),
        (("pk_owners", "uq_owners_name", "fk_things_owner_id_owners"), {"naming_convention": CONVENTION}),
        (("one_code", "ck_things_positive", "ck_things_flag_is_bool"), {"naming_convention": CONVENTION}),
        # What PostgreSQL makes up where there is no name, and SQLite's word for a check without one.
        (("owners_name_key", "owners_pkey", "things_owner_id_fkey", "things_owner_id_fkey1"), {}),
        (("code > 0",), {"naming_convention": CONVENTION}),
    ],
)
def test_names_that_are_there_are_known(names: tuple[str, ...], options: dict[str, Any]) -> None:
    """Those of the models, of a convention, and those that a database makes up."""
    assert list(unknown_names(names, tables(**options))) == []


@pytest.mark.parametrize(
    ("name", "near", "options"),
    [
        ("uq_owner_name", ["uq_owners_name"], {"naming_convention": CONVENTION}),
        ("owners_name_key", ["uq_owners_name"], {"naming_convention": CONVENTION}),
        ("onecode", ["one_code"], {}),
        ("ix_of_owner", ["ix_of_code"], {}),  # not unique: it is never violated
        ("uq_owners_name", [], {}),
        ("other_name_key", [], {}),
    ],
)
def test_names_that_are_not_there_are_told_with_those_near(name: str, near: list[str], options: dict[str, Any]) -> None:
    """A typo, a name that a convention has changed, an index that is not unique."""
    assert list(unknown_names([name], tables(**options))) == [(name, near)]


@pytest.mark.parametrize("metadata", [None, MetaData()])
def test_without_tables_nothing_is_compared(metadata: MetaData | None) -> None:
    """The models may be somebody else's."""
    assert list(unknown_names(["uq"], metadata)) == []


@pytest.mark.parametrize("make", [Database, AsyncDatabase])
def test_a_start_warns_of_a_name_once(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It starts all the same, as a migration may have made the constraint, and says it at the first start only."""
    metadata = tables(naming_convention=CONVENTION)
    database = make("sqlite://", metadata=metadata, constraints={"uq_owner_name": "Taken", "uq_owners_name": "Taken"})
    app = FastAPI()
    install_stack(app, resources=[database])
    with caplog.at_level(logging.WARNING, "fastapi_patterns.db"):
        for _ in range(2):
            with TestClient(app):
                pass
    (said,) = [record for record in caplog.records if record.name == "fastapi_patterns.db"]
    assert said.levelname == "WARNING"
    assert "is called 'uq_owner_name'; near it: 'uq_owners_name'" in said.getMessage()


@pytest.mark.parametrize(
    ("column", "name"),
    [
        (Column("id", Integer, primary_key=True), "pk_owners"),
        (Column("id", Integer, unique=True), "uq_owners_id"),
        (Column("id", Integer, unique=True, index=True), "ix_owners_id"),
    ],
)
def test_sqlite_says_the_columns_and_the_metadata_the_name(column: Column[int], name: str) -> None:
    """A primary key, a unique constraint, and the unique index that `unique=True, index=True` makes of both."""
    metadata = MetaData(naming_convention=CONVENTION)
    owners = Table("owners", metadata, column)
    database = Database("sqlite://", metadata=metadata, constraints={name: "Taken"})
    database.create_all()
    app = FastAPI()
    install_stack(app, resources=[database])

    @app.post("/")
    def add() -> None:
        with database.session_scope() as session:
            session.execute(insert(owners).values(id=1))

    with TestClient(app) as client:
        assert client.post("/").status_code == 200
        assert client.post("/").json() == {"error": "Taken"}


def test_sqlite_says_nothing_of_a_foreign_key() -> None:
    """Its name answers nothing there: it is any other constraint."""
    metadata = tables(naming_convention=CONVENTION)
    database = Database(
        "sqlite://",
        metadata=metadata,
        constraints={"fk_things_owner_id_owners": "No such owner"},
        other_integrity_status=422,
    )
    database.create_all()
    app = FastAPI()
    install_stack(app, resources=[database])

    @app.post("/")
    def add() -> None:
        with database.session_scope() as session:
            session.execute(insert(metadata.tables["things"]).values(id=1, owner_id=404, code=1))

    with TestClient(app) as client:
        answer = client.post("/")
    assert (answer.status_code, answer.json()) == (422, {"error": "The data contradicts what is stored"})
