"""What a request costs with a session of ours, over the `get_db` that people write by hand, in process.

All subjects of a case share one engine, so that only the way to the session differs. It is SQLite, the nearest thing to
no database: a server's round trip would hide what is measured. It is a file, for a database in memory has a pool of a
single connection, and what is done about a pool's limit would not be measured.
"""

import asyncio
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from benchmarks.database_peers import ASYNC_PEERS, SYNC_PEERS, async_get_db, get_db
from benchmarks.harness import OURS, Case, Suite
from benchmarks.in_process import requests_to
from fastapi_patterns import AsyncDatabase, Database

__all__ = ["suite"]

_SELECT = text("SELECT 1")


def suite() -> Suite:
    """Make the cases: one SELECT in a request, sync and async, and a request that does not use its session."""
    loop = asyncio.new_event_loop()
    folder = Path(tempfile.mkdtemp(prefix="fastapi-patterns-bench-"))
    engine = create_engine(f"sqlite:///{folder / 'sync.db'}")
    async_engine = create_async_engine(f"sqlite+aiosqlite:///{folder / 'async.db'}")
    sync_subjects, async_subjects = _sync_apps(engine), _async_apps(async_engine)

    def on(apps: dict[str, Callable[[], FastAPI]], path: str) -> dict[str, Callable[[], object]]:
        return {name: partial(_run, loop, make, path, []) for name, make in apps.items()}

    unused = ("floor", f"{OURS}")
    return Suite(
        "database",
        [
            Case(
                "one SELECT, sync",
                "Depends(get_db): a generator that yields a Session and commits",
                on(sync_subjects, "/one"),
                rounds=30,
            ),
            Case(
                "one SELECT, async",
                "Depends(get_db): an async generator that yields an AsyncSession and commits",
                on(async_subjects, "/one"),
                rounds=30,
            ),
            Case(
                "a session that is not used, sync",
                "the same get_db",
                on({name: sync_subjects[name] for name in unused}, "/none"),
                rounds=30,
            ),
            Case(
                "a session that is not used, async",
                "the same get_db",
                on({name: async_subjects[name] for name in unused}, "/none"),
                rounds=30,
            ),
        ],
    )


def _run(
    loop: asyncio.AbstractEventLoop, make: Callable[[], FastAPI], path: str, made: list[Callable[[], object]]
) -> None:
    """Make the application at the first call, so that a peer that is not there is reported and the others go on."""
    if not made:
        made.append(requests_to(loop, make(), path))
    made[0]()


def _sync_apps(engine: Engine) -> dict[str, Callable[[], FastAPI]]:
    return {
        "floor": lambda: _sync_app(get_db(engine)),
        "the same, Depends(get_db, scope='function')": lambda: _sync_app(get_db(engine), scope="function"),
        OURS: lambda: _sync_app(Database(engine).session),
        **{name: partial(peer, engine, _sync_app) for name, peer in SYNC_PEERS.items()},
    }


def _async_apps(engine: AsyncEngine) -> dict[str, Callable[[], FastAPI]]:
    return {
        "floor": lambda: _async_app(async_get_db(engine)),
        "the same, Depends(get_db, scope='function')": lambda: _async_app(async_get_db(engine), scope="function"),
        OURS: lambda: _async_app(AsyncDatabase(engine).session),
        **{name: partial(peer, engine, _async_app) for name, peer in ASYNC_PEERS.items()},
    }


def _sync_app(dependency: Callable[..., Any], scope: Any = None, app: FastAPI | None = None) -> FastAPI:
    app = FastAPI() if app is None else app

    @app.get("/one")
    def one(session: Annotated[Session, Depends(dependency, scope=scope)]) -> dict[str, int]:
        return {"one": session.execute(_SELECT).scalar_one()}

    @app.get("/none")
    def none(session: Annotated[Session, Depends(dependency, scope=scope)]) -> dict[str, int]:
        return {"one": 1}

    return app


def _async_app(dependency: Callable[..., Any], scope: Any = None, app: FastAPI | None = None) -> FastAPI:
    app = FastAPI() if app is None else app

    @app.get("/one")
    async def one(session: Annotated[AsyncSession, Depends(dependency, scope=scope)]) -> dict[str, int]:
        return {"one": (await session.scalars(_SELECT)).one()}

    @app.get("/none")
    async def none(session: Annotated[AsyncSession, Depends(dependency, scope=scope)]) -> dict[str, int]:
        return {"one": 1}

    return app
