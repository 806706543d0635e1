"""The `get_db` that people write, and what they would install instead, each set up as its documentation says."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

__all__ = ["ASYNC_PEERS", "SYNC_PEERS", "async_get_db", "get_db"]

# Given an engine, and what makes the application of a dependency.
Peer = Callable[[Any, Callable[..., FastAPI]], FastAPI]


def get_db(engine: Engine) -> Callable[[], Iterator[Session]]:
    """The generator that most projects have."""
    make = sessionmaker(engine)

    def dependency() -> Iterator[Session]:
        with make() as session:
            yield session
            session.commit()

    return dependency


def async_get_db(engine: AsyncEngine) -> Callable[[], AsyncIterator[AsyncSession]]:
    """The same for an async engine."""
    make = async_sessionmaker(engine, expire_on_commit=False)

    async def dependency() -> AsyncIterator[AsyncSession]:
        async with make() as session:
            yield session
            await session.commit()

    return dependency


def advanced_alchemy(engine: Engine, make_app: Callable[..., FastAPI]) -> FastAPI:
    """advanced-alchemy's FastAPI extension, committing what is answered with 2xx."""
    from advanced_alchemy.extensions.fastapi import AdvancedAlchemy, SQLAlchemySyncConfig

    app = FastAPI()
    alchemy = AdvancedAlchemy(SQLAlchemySyncConfig(engine_instance=engine, commit_mode="autocommit"), app=app)
    return make_app(alchemy.provide_session(), app=app)


def advanced_alchemy_async(engine: AsyncEngine, make_app: Callable[..., FastAPI]) -> FastAPI:
    """The same for an async engine."""
    from advanced_alchemy.extensions.fastapi import AdvancedAlchemy, SQLAlchemyAsyncConfig

    app = FastAPI()
    alchemy = AdvancedAlchemy(SQLAlchemyAsyncConfig(engine_instance=engine, commit_mode="autocommit"), app=app)
    return make_app(alchemy.provide_session(), app=app)


def fastapi_async_sqlalchemy(engine: AsyncEngine, make_app: Callable[..., FastAPI]) -> FastAPI:
    """fastapi-async-sqlalchemy: a middleware that commits, and a session in a context variable."""
    from fastapi_async_sqlalchemy import create_middleware_and_session_proxy

    middleware, db = create_middleware_and_session_proxy()

    async def session() -> AsyncSession:
        found: AsyncSession = db.session
        return found

    app = FastAPI()
    app.add_middleware(middleware, custom_engine=engine, commit_on_exit=True)
    return make_app(session, app=app)


def fastapi_toolsets(engine: AsyncEngine, make_app: Callable[..., FastAPI]) -> FastAPI:
    """fastapi-toolsets: its Database, with the middleware that commits before the response."""
    from fastapi_toolsets.db import Database

    app = FastAPI()
    db = Database(engine=engine)
    db.install(app)
    return make_app(db, app=app)


SYNC_PEERS: dict[str, Peer] = {"advanced-alchemy, autocommit": advanced_alchemy}
ASYNC_PEERS: dict[str, Peer] = {
    "advanced-alchemy, autocommit": advanced_alchemy_async,
    "fastapi-async-sqlalchemy, commit_on_exit": fastapi_async_sqlalchemy,
    "fastapi-toolsets": fastapi_toolsets,
}
