"""The services that other tests lean on: they start, they keep what they were told, they come back."""

import pytest

from tests.services import PostgresServer, ValkeyServer, missing_service


@pytest.mark.services
def test_postgres_answers_both_drivers(postgres_server: PostgresServer) -> None:
    """The server is a PostgreSQL 18 that psycopg and asyncpg reach under the URLs it gives."""
    import asyncio

    from sqlalchemy import create_engine, text
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_engine(postgres_server.url("psycopg"))
    with engine.connect() as connection:
        assert str(connection.scalar(text("SHOW server_version"))).startswith("18")
    engine.dispose()

    async def ask() -> object:
        asynchronous = create_async_engine(postgres_server.url("asyncpg"))
        async with asynchronous.connect() as opened:
            found = await opened.scalar(text("SELECT 40 + 2"))
        await asynchronous.dispose()
        return found

    assert asyncio.run(ask()) == 42


@pytest.mark.services
def test_postgres_keeps_data_over_a_kill(postgres_server: PostgresServer) -> None:
    """What was committed is there after the server was killed and started again."""
    import psycopg

    name = postgres_server.create_database("survives")
    dsn = postgres_server.dsn(name)
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept (id int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    postgres_server.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn, connect_timeout=2)
    postgres_server.start()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(7,)]


@pytest.mark.services
def test_valkey_keeps_data_over_a_kill(valkey_server: ValkeyServer) -> None:
    """A key that was set is there after the server was killed and started again."""
    import redis

    with redis.Redis(host=valkey_server.host, port=valkey_server.port) as client:
        client.set("kept", "7")
    valkey_server.restart()
    with redis.Redis(host=valkey_server.host, port=valkey_server.port) as client:
        assert client.get("kept") == b"7"


def test_a_missing_wheel_skips_or_fails() -> None:
    """Without the wheel a test is skipped with a reason, and fails where services are required."""
    with pytest.raises(pytest.skip.Exception, match="needs the wheel some-wheel"):
        missing_service("some-wheel", required=False)
    with pytest.raises(pytest.fail.Exception, match="REQUIRE_SERVICES=1"):
        missing_service("some-wheel", required=True)
