"""What TestClient hides: when the response arrives, the row is stored, seen from another connection."""

from pathlib import Path
from typing import Annotated

import httpx2
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from fastapi_patterns import AsyncDatabase, Database, install_stack
from tests.db.models import Base, Owner, Thing
from tests.live.server import serve

WRITES = 100


def sync_app(url: str) -> FastAPI:
    """Writes and failing commits, sync."""
    database = Database(url)
    app = FastAPI()
    install_stack(app, resources=[database])

    @app.post("/owners/{name}")
    def create(name: str, session: Annotated[Session, Depends(database.session)]) -> None:
        session.add(Owner(name=name))

    @app.post("/orphans")
    def orphan(session: Annotated[Session, Depends(database.session)]) -> None:
        session.add(Thing(owner_id=404))

    @app.post("/with-failing-task/{name}")
    def failing(name: str, session: Annotated[Session, Depends(database.session)], tasks: BackgroundTasks) -> None:
        session.add(Owner(name=name))
        tasks.add_task(_fail)

    return app


def async_app(url: str) -> FastAPI:
    """Writes and failing commits, async."""
    database = AsyncDatabase(url)
    app = FastAPI()
    install_stack(app, resources=[database])

    @app.post("/owners/{name}")
    async def create(name: str, session: Annotated[AsyncSession, Depends(database.session)]) -> None:
        session.add(Owner(name=name))

    @app.post("/orphans")
    async def orphan(session: Annotated[AsyncSession, Depends(database.session)]) -> None:
        session.add(Thing(owner_id=404))

    @app.post("/with-failing-task/{name}")
    async def failing(
        name: str, session: Annotated[AsyncSession, Depends(database.session)], tasks: BackgroundTasks
    ) -> None:
        session.add(Owner(name=name))
        tasks.add_task(_fail)

    return app


def _fail() -> None:
    raise RuntimeError("the task failed")


@pytest.mark.parametrize("make_app", [sync_app, async_app], ids=["sync", "async"])
def test_what_was_answered_is_stored(make_app: object, tmp_path: Path) -> None:
    """Every 200 is a row for a second reader at once; no failing commit is told as a success."""
    url = f"sqlite:///{tmp_path}/live.db"
    tables = Database(url, metadata=Base.metadata)
    tables.create_all()
    tables.engine.dispose()
    reader = create_engine(url)
    stale, wrong = [], []
    with serve(make_app(url)) as server, httpx2.Client(base_url=server) as client:  # type: ignore[operator]
        for number in range(WRITES):
            assert client.post(f"/owners/{number}").status_code == 200
            with reader.connect() as connection:
                if connection.scalar(text("SELECT count(*) FROM owners WHERE name = :n"), {"n": str(number)}) != 1:
                    stale.append(number)
            if client.post("/orphans").status_code < 500:
                wrong.append(number)
        assert client.post("/with-failing-task/kept").status_code == 200
    with reader.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM owners")) == WRITES + 1
        assert connection.scalar(text("SELECT count(*) FROM things")) == 0
    reader.dispose()
    assert (stale, wrong) == ([], [])
