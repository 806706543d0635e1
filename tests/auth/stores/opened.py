"""Opens each kind of store for a test, over real servers, and closes all that it opened."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine, text

from fastapi_patterns import AsyncDatabase, Database
from fastapi_patterns.auth.stores import (
    InMemoryTokenStore,
    RedisTokenStore,
    SqlAlchemyTokenStore,
    TokenStore,
    token_store_tables,
)

_NUMBERS = count()

MEMORY, SQLITE, SQLITE_ASYNC = "memory", "sqlite", "sqlite-async"
POSTGRES, POSTGRES_ASYNC, VALKEY = "postgres", "postgres-async", "valkey"
SQL_KINDS = [
    SQLITE,
    SQLITE_ASYNC,
    pytest.param(POSTGRES, marks=pytest.mark.services),
    pytest.param(POSTGRES_ASYNC, marks=pytest.mark.services),
]
KINDS = [MEMORY, *SQL_KINDS, pytest.param(VALKEY, marks=pytest.mark.services)]

Dump = Callable[[], AbstractAsyncContextManager[str]]


class Opened:
    """A store that is open, and a way to see all that it keeps.

    Args:
        store: The store.
        dump: Gives all of it as text, read past the store.
        database: What it stands on, if that is one.
    """

    def __init__(self, store: TokenStore, dump: Callable[[], Any], database: Any = None) -> None:
        self.store = store
        self.dump = dump
        self.database = database


@asynccontextmanager
async def open_store(kind: str, request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Opened]:
    """Open a store with nothing in it; servers are started on first use."""
    if kind == MEMORY:
        memory = InMemoryTokenStore()
        yield Opened(memory, lambda: repr(vars(memory)))
    elif kind == VALKEY:
        async with open_valkey(request.getfixturevalue("valkey_server").url) as opened:
            yield opened
    else:
        url = f"sqlite:///{folder / 'store.db'}"
        if kind in (POSTGRES, POSTGRES_ASYNC):
            url = request.getfixturevalue("postgres_server").url()
        async with open_sql(url, asynchronous=kind.endswith("-async")) as opened:
            yield opened


@asynccontextmanager
async def open_sql(url: str, *, asynchronous: bool, **options: Any) -> AsyncIterator[Opened]:
    """Open a store on tables of its own in a database."""
    url = url.replace("+psycopg", "")
    tables = token_store_tables(MetaData(), prefix=f"t{next(_NUMBERS)}_")
    async with (AsyncDatabase if asynchronous else Database)(url, **options) as database:
        store = SqlAlchemyTokenStore(database, tables=tables)
        await store.create_all()
        yield Opened(store, lambda: _dump_sql(url, tables.sessions.metadata), database)


@asynccontextmanager
async def open_valkey(url: str, **options: Any) -> AsyncIterator[Opened]:
    """Open a store on keys of its own in a Valkey."""
    import redis
    import redis.asyncio

    prefix = f"t{next(_NUMBERS)}:"

    def dump() -> str:
        with redis.Redis.from_url(url) as client:
            keys = sorted(client.scan_iter(f"{prefix}*"))
            return repr([(key, client.type(key), _value(client, key)) for key in keys])

    async with redis.asyncio.Redis.from_url(url, **options) as client:
        yield Opened(RedisTokenStore(client, prefix=prefix), dump)


def _value(client: Any, key: bytes) -> Any:
    return client.hgetall(key) if client.type(key) == b"hash" else client.get(key)


def _dump_sql(url: str, metadata: MetaData) -> str:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.connect() as connection:
            return repr([connection.execute(text(f"SELECT * FROM {name}")).all() for name in metadata.tables])  # noqa: S608
    finally:
        engine.dispose()
