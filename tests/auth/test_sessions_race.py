"""Many uses of one refresh token at once, and refusals that must not take a revocation back."""

import asyncio
import inspect
import os
import random
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import text

from fastapi_patterns import AsyncDatabase, Database, TokenCodec, TokenConfig, TokenError
from fastapi_patterns.auth import IssuedTokens, LoginSessions, TokenStore
from fastapi_patterns.auth.stores import SqlAlchemyTokenStore
from fastapi_patterns.security import RefreshPolicy, RefreshReuseError
from tests.auth.stores.opened import KINDS, MEMORY, SQL_KINDS, open_store
from tests.services import PostgresServer

SLOW = os.environ.get("SLOW") == "1"
PARALLEL = 50
TOKENS = TokenCodec(TokenConfig(secret_key="S3cr3t-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz"))


def rounds(kind: str) -> int:
    """How often: all of a thousand in memory, a tenth of it where a round is real work, and a tenth in a quick run."""
    return (1000 if kind == MEMORY else 100) // (1 if SLOW else 10)


async def active(subject: str) -> Mapping[str, Any]:
    """Every user may log in; the answer comes when the others have read the session, and some have exchanged it."""
    for _ in range(random.randrange(1, 5)):  # noqa: S311
        await asyncio.sleep(0)
    return {}


async def use_at_once(sessions: LoginSessions, token: str) -> list[IssuedTokens | TokenError]:
    """Use one token many times at the same moment; anything but tokens and a TokenError is a failure."""

    async def use() -> IssuedTokens | TokenError:
        try:
            return await sessions.refresh(token, claims_of=active)
        except TokenError as error:
            return error

    return await asyncio.gather(*(use() for _ in range(PARALLEL)))


async def race(store: TokenStore, kind: str) -> None:
    """Run the rounds: one wins each time, and then the family is dead."""
    sessions = LoginSessions(store, tokens=TOKENS)
    for _ in range(rounds(kind)):
        first, other = await sessions.start(7), await sessions.start(7)
        answers = await use_at_once(sessions, first.refresh_token)
        won = [answer for answer in answers if isinstance(answer, IssuedTokens)]
        assert len(won) == 1
        assert any(isinstance(answer, RefreshReuseError) for answer in answers)
        for dead in (first, *won):
            assert await sessions.revoked(TOKENS.decode(dead.access_token))
            with pytest.raises(TokenError):
                await sessions.refresh(dead.refresh_token, claims_of=active)
        assert not await sessions.revoked(TOKENS.decode(other.access_token))


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", KINDS)
async def test_of_many_uses_at_once_one_wins_and_the_family_dies(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """50 uses give one pair of tokens and 49 refusals; then no token of the session is good, access tokens included."""
    async with open_store(kind, request, tmp_path) as opened:
        await race(opened.store, kind)


@pytest.mark.asyncio
async def test_with_a_grace_time_uses_at_once_end_in_one_good_token(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Those that are refused were too many at once, not reuse; the session lives, with one refresh token."""
    async with open_store(MEMORY, request, tmp_path) as opened:
        sessions = LoginSessions(opened.store, tokens=TOKENS, policy=RefreshPolicy(grace=timedelta(seconds=30)))
        first = await sessions.start(7)
        answers = await use_at_once(sessions, first.refresh_token)
        won = [answer for answer in answers if isinstance(answer, IssuedTokens)]
        assert won
        assert not any(isinstance(answer, RefreshReuseError) for answer in answers)
        session = await opened.store.get_session(first.sid)
        assert session is not None
        assert session.revoked_at is None
        assert not await sessions.revoked(TOKENS.decode(won[0].access_token))


Access = Literal["reads", "writes"]


async def execute(session: Any, statement: str) -> Any:
    """Run a statement in a session of either kind."""
    done = session.execute(text(statement))
    return await done if inspect.isawaitable(done) else done


def application(database: Any, sessions: LoginSessions, access: Access) -> FastAPI:
    """A refresh route as applications have it: with the request's own session, and a 401 for a refused token."""
    app = FastAPI()
    statement = "SELECT count(*) FROM things" if access == "reads" else "INSERT INTO things VALUES (1)"

    @app.post("/refresh")
    async def refresh(token: str, session: Annotated[Any, Depends(database.session)]) -> str:
        await execute(session, statement)
        try:
            return (await sessions.refresh(token, claims_of=active)).refresh_token
        except TokenError:
            raise HTTPException(401, "Log in again") from None

    @app.get("/things")
    async def things(session: Annotated[Any, Depends(database.session)]) -> int:
        return int((await execute(session, "SELECT count(*) FROM things")).scalar_one())

    @app.get("/me")
    async def me(token: str) -> bool:
        return not await sessions.revoked(TOKENS.decode(token))

    @app.post("/login")
    async def login() -> dict[str, str]:
        issued = await sessions.start(7)
        return {"access": issued.access_token, "refresh": issued.refresh_token}

    @app.post("/tables")
    async def tables(session: Annotated[Any, Depends(database.session)]) -> None:
        await execute(session, "CREATE TABLE things (id INTEGER)")

    return app


def check_that_it_stays(database: Any, access: Access) -> None:
    """The request is rolled back, and the revocation is not."""
    store = SqlAlchemyTokenStore(database)
    app = application(database, LoginSessions(store, tokens=TOKENS), access)
    with TestClient(app) as client:
        assert client.portal is not None
        client.portal.call(store.create_all)
        assert client.post("/tables").status_code == 200
        first = client.post("/login").json()
        second = client.post("/refresh", params={"token": first["refresh"]})
        assert second.status_code == 200
        before = client.get("/things").json()
        assert before == (0 if access == "reads" else 1)
        again = client.post("/refresh", params={"token": first["refresh"]})
        assert (again.status_code, again.json()) == (401, {"detail": "Log in again"})
        assert client.get("/things").json() == before
        assert client.post("/refresh", params={"token": second.json()}).status_code == 401
        assert client.get("/me", params={"token": first["access"]}).json() is False
        client.portal.call(database.__aexit__, None, None, None)


@pytest.mark.parametrize("make", [Database, AsyncDatabase])
def test_a_refusal_does_not_take_the_revocation_back(make: type[Any], tmp_path: Path) -> None:
    """The route's session is rolled back by its 401; the family stays dead, access tokens included."""
    check_that_it_stays(make(f"sqlite:///{tmp_path / 'app.db'}"), "reads")


@pytest.mark.services
@pytest.mark.parametrize("make", [Database, AsyncDatabase])
def test_nor_where_the_route_has_written(make: type[Any], postgres_server: PostgresServer) -> None:
    """What it wrote goes, what the store wrote stays."""
    name = postgres_server.create_database(f"refusals_{make.__name__.lower()}")
    check_that_it_stays(make(postgres_server.url(database=name).replace("+psycopg", "")), "writes")


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", SQL_KINDS)
async def test_no_connection_is_kept(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """After a crowd of uses, the pool has all of them back."""
    async with open_store(kind, request, tmp_path) as opened:
        sessions = LoginSessions(opened.store, tokens=TOKENS)
        await use_at_once(sessions, (await sessions.start(7)).refresh_token)
        engine = opened.database.engine
        assert getattr(engine, "sync_engine", engine).pool.checkedout() == 0
