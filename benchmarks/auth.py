"""What a request costs when it says who is calling, over the same route without a user, in process.

The users are in a SQLite in memory: what is measured is what each package does around it. Peers that are not installed
are left out; `scripts/bench --only auth` has an environment of its own for them.
"""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Security
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import StaticPool

from benchmarks import auth_peers as peers
from benchmarks.auth_peers import SECRET, Base, User
from benchmarks.harness import OURS, Case, Suite
from benchmarks.in_process import Memory, requests_to
from fastapi_patterns import (
    AsyncDatabase,
    Claims,
    Database,
    RequestLogConfig,
    TokenCodec,
    TokenConfig,
    install_stack,
    make_current_user,
)
from fastapi_patterns.auth import LoginSessions
from fastapi_patterns.auth.stores import InMemoryTokenStore
from fastapi_patterns.logs import JsonLines

__all__ = ["suite"]

_FLOOR = "the same route without a user"
_MEMORY = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}

Subject = Callable[[], object]


async def load_async(claims: Claims) -> int:
    """A user that is in memory."""
    return claims.int_sub


def load_sync(claims: Claims) -> int:
    """The same, in a thread, because a sync loader may block."""
    return claims.int_sub


def suite() -> Suite:
    """Make the cases: users without a database, with one, and with what is asked beside."""
    loop = asyncio.new_event_loop()
    tokens = TokenCodec(TokenConfig(secret_key=SECRET))
    sessions = LoginSessions(InMemoryTokenStore(), tokens=tokens)

    def on(made: tuple[FastAPI, dict[str, str]]) -> Subject:
        app, headers = made
        return requests_to(loop, app, "/me", headers=headers)

    def ours(
        load_user: Callable[..., Any], scopes: list[str] | None = None, *, stacked: bool = False, **options: Any
    ) -> Subject:
        current = make_current_user(load_user, tokens=tokens, token_url="login", **options)
        dependency = Depends(current) if scopes is None else Security(current, scopes=scopes)
        token = tokens.encode({"sub": 1, "scope": " ".join(scopes or ())})
        app = _app(dependency)
        if stacked:
            install_stack(app, request_log=RequestLogConfig(sink=JsonLines(Memory())))
        return on((app, {"authorization": f"Bearer {token}"}))

    def peer(package: str, make: Callable[[], Subject]) -> dict[str, Subject]:
        return {package.replace("_", "-"): make()} if peers.installed(package) else {}

    floor = requests_to(loop, _app(None), "/me")
    found = peer("fastapi_users", lambda: on(peers.fastapi_users(None, _made)))
    in_memory = {f"{name}, in memory": subject for name, subject in found.items()}
    asynchronous = _async_users(loop)
    return Suite(
        "auth",
        [
            Case(
                "a user without a database",
                _FLOOR,
                {
                    "floor": floor,
                    OURS: ours(load_async),
                    "ours, a sync loader": ours(load_sync),
                    "ours, with revocation in memory": ours(load_async, revoked=sessions.revoked),
                    "ours, with a scope": ours(load_async, ["items:read"]),
                    "by hand, python-jose": on(peers.usual_without_database(_made)),
                    "FastAPI: two empty dependencies": on(peers.empty(_made)),
                    **in_memory,
                    **peer("authx", lambda: on(peers.authx(None, _made))),
                },
            ),
            Case(
                "the whole stack and a user",
                _FLOOR + ", without the stack",
                {
                    "floor": floor,
                    OURS: ours(load_async, stacked=True),
                    **in_memory,
                },
            ),
            Case(
                "a user from a session, sync",
                _FLOOR,
                {
                    "floor": floor,
                    OURS: ours(_load_sync(_sync_users())),
                    "by hand, python-jose": on(peers.usual(_sync_users().sessions, _made)),
                },
            ),
            Case(
                "a user from a session, async",
                _FLOOR,
                {
                    "floor": floor,
                    OURS: ours(_load_async(asynchronous)),
                    **peer("fastapi_users", lambda: on(peers.fastapi_users(asynchronous, _made))),
                    **peer("authx", lambda: on(peers.authx(asynchronous, _made))),
                },
            ),
        ],
    )


class _SyncUsers:
    """One user in a database in memory, for our `Database` and for a `sessionmaker`."""

    def __init__(self) -> None:
        self.engine = create_engine("sqlite://", **_MEMORY)
        self.sessions = sessionmaker(self.engine)
        Base.metadata.create_all(self.engine)
        with self.sessions.begin() as session:
            session.add(_user())


@cache
def _sync_users() -> _SyncUsers:
    return _SyncUsers()


def _async_users(loop: asyncio.AbstractEventLoop) -> async_sessionmaker[AsyncSession]:
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def fill() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with sessions.begin() as session:
            session.add(_user())

    loop.run_until_complete(fill())
    return sessions


def _load_sync(users: _SyncUsers) -> Callable[..., Any]:
    database = Database(users.sessions)

    def load_user(claims: Claims, session: Annotated[Session, Depends(database.session)]) -> User | None:
        return session.get(User, claims.int_sub)

    return load_user


def _load_async(sessions: async_sessionmaker[AsyncSession]) -> Callable[..., Any]:
    database = AsyncDatabase(sessions)

    async def load_user(claims: Claims, session: Annotated[AsyncSession, Depends(database.session)]) -> User | None:
        return await session.get(User, claims.int_sub)

    return load_user


def _user() -> User:
    return User(
        id=1, email="ada@example.com", hashed_password="x", is_active=True, is_superuser=False, is_verified=True
    )


def _made(get_current_user: Any) -> FastAPI:
    return _app(Depends(get_current_user))


def _app(dependency: Any) -> FastAPI:
    app = FastAPI()

    async def me() -> dict[str, bool]:
        return {"ok": True}

    app.get("/me", dependencies=[] if dependency is None else [dependency])(me)
    return app
