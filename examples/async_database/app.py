"""Notes over AsyncDatabase; for PostgreSQL only the URL changes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_patterns import AppException, AsyncDatabase, install_stack


class Base(DeclarativeBase):
    """The tables."""


class Note(Base):
    """A note with a title of its own."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(unique=True)


database = AsyncDatabase("sqlite:///notes.db", metadata=Base.metadata)  # or "postgresql://user@host/name"
SessionDep = Annotated[AsyncSession, Depends(database.session)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the missing tables; an application that grows runs its migrations before it starts instead."""
    await database.create_all()
    yield


app = FastAPI(lifespan=lifespan)
install_stack(app, resources=[database])


@app.post("/notes")
async def create_note(title: str, session: SessionDep) -> dict[str, int]:
    """Write a note; a title that is taken is a 409 by itself."""
    note = Note(title=title)
    session.add(note)
    await session.flush()  # gives the note its id
    return {"id": note.id}


@app.get("/notes")
async def list_notes(session: SessionDep) -> list[str]:
    """List the titles."""
    return list(await session.scalars(select(Note.title).order_by(Note.id)))


@app.delete("/notes/{note_id}")
async def delete_note(note_id: int, session: SessionDep) -> None:
    """Delete a note."""
    note = await session.get(Note, note_id)
    if note is None:
        raise AppException(404, "No such note")
    await session.delete(note)
