"""A fresh database for every test, and both kinds of application."""

from collections.abc import Iterator
from itertools import count
from typing import cast

import pytest

from fastapi_patterns import Database

pytest.register_assert_rewrite("tests.faults.harness")

from tests.faults.harness import Base, Books, Kind  # noqa: E402 (its assertions explain themselves)
from tests.services import PostgresServer  # noqa: E402

_NUMBERS = count()


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which of the two databases."""
    return cast(Kind, request.param)


@pytest.fixture
def books(postgres_server: PostgresServer) -> Iterator[Books]:
    """A fresh database with the tables, and a second look at it."""
    name = postgres_server.create_database(f"faults_{next(_NUMBERS)}")
    found = Books(postgres_server.url(database=name).replace("+psycopg", ""))
    tables = Database(found.url, metadata=Base.metadata)
    tables.create_all()
    tables.engine.dispose()
    found.open()
    yield found
    found.close()
