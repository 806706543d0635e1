"""A server that refuses the connection: the same answer from both databases, and a log that says why."""

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from fastapi_patterns import AsyncDatabase, Database, install_stack
from fastapi_patterns.db import DatabaseUnavailableError
from fastapi_patterns.logs import TextFormatter
from tests.db.refusing import RefusingServer

pytest.importorskip("psycopg")
pytest.importorskip("asyncpg")

REFUSALS = [
    ("28P01", 'password authentication failed for user "app"', "password authentication failed"),
    ("3D000", 'database "shop" does not exist', "the database does not exist"),
    ("28000", 'no pg_hba.conf entry for host "10.0.0.1", user "app"', "this role may not log in, or not from here"),
    ("53300", "sorry, too many clients already", "too many connections"),
    ("57P03", "the database system is starting up", "the server does not accept connections at the moment"),
]


def application(database: Any) -> FastAPI:
    """One route that asks the database, and one that is for readiness."""
    app = FastAPI()
    install_stack(app, resources=[database])

    @app.get("/ready")
    async def ready() -> None:
        await database.ping()

    if isinstance(database, Database):

        @app.get("/")
        def ask(session: Annotated[Session, Depends(database.session)]) -> None:
            session.execute(text("SELECT 1"))
    else:

        @app.get("/")
        async def ask_async(session: Annotated[AsyncSession, Depends(database.session)]) -> None:
            await session.execute(text("SELECT 1"))

    return app


@pytest.mark.parametrize("make", [Database, AsyncDatabase])
@pytest.mark.parametrize(("sqlstate", "words", "meaning"), REFUSALS, ids=[each[0] for each in REFUSALS])
def test_a_refused_connection_is_unavailable_and_says_why(
    make: Any, sqlstate: str, words: str, meaning: str, caplog: pytest.LogCaptureFixture
) -> None:
    """503 in routes and for readiness; the log tells a wrong password from a server that starts, without its words."""
    with RefusingServer(sqlstate, f"{words} hunter2") as server:
        database = make(server.url)
        with TestClient(application(database), raise_server_exceptions=False) as client:
            answers = [client.get(path) for path in ("/", "/ready")]
        with pytest.raises(DatabaseUnavailableError):
            asyncio.run(make(server.url).ping())
    for answer in answers:
        assert (answer.status_code, answer.json()) == (503, {"error": "The database is not available"})
        assert answer.headers["retry-after"] == "1"
    failures = [TextFormatter().format(record) for record in caplog.records if record.exc_info]
    assert len(failures) == 2
    for written in failures:
        assert meaning in written
        assert "hunter2" not in written


@pytest.mark.parametrize("make", [Database, AsyncDatabase])
def test_a_server_that_is_not_there_says_so(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Another text than that of a wrong password."""
    server = RefusingServer("28P01", "")
    with server:
        url = server.url
    with TestClient(application(make(url)), raise_server_exceptions=False) as client:
        assert client.get("/").status_code == 503
    written = "".join(TextFormatter().format(record) for record in caplog.records if record.exc_info)
    assert "refused" in written
    assert "hunter2" not in written
