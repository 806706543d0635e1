"""Liveness asks nothing, readiness asks what every request needs; neither is a line in the log."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_patterns import AppException, Database, RequestLogConfig, install_stack


class Base(DeclarativeBase):
    """The tables."""


class Note(Base):
    """A note."""

    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


database = Database("sqlite:///notes.db", metadata=Base.metadata)
SessionDep = Annotated[Session, Depends(database.session)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the tables."""
    database.create_all()
    yield


app = FastAPI(lifespan=lifespan)
install_stack(app, resources=[database], request_log=RequestLogConfig(skip={"/health/live", "/health/ready"}))


@app.get("/health/live", include_in_schema=False)
async def live() -> dict[str, str]:
    """Answer: a process that cannot do that is to be started again."""
    return {"status": "ok"}


@app.get("/health/ready", include_in_schema=False)
async def ready() -> dict[str, str]:
    """Tell whether requests can be served now; 503 if not."""
    await database.ping(timeout_s=1.0)
    return {"status": "ok"}


@app.get("/notes/{note_id}")
def note(note_id: int, session: SessionDep) -> str:
    """Give the title of a note."""
    title = session.scalar(select(Note.title).where(Note.id == note_id))
    if title is None:
        raise AppException(404, "No such note")
    return title
