"""Notes that only their owner can reach, and a joke from an upstream."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy import select

from examples.service.blocks import CurrentUser, SessionDep, UpstreamDep
from examples.service.models import Note
from examples.service.schemas import NewNote, NoteOut
from fastapi_patterns import AppException

router = APIRouter()


@router.post("/notes", status_code=201, response_model=NoteOut)
def create_note(data: NewNote, user: CurrentUser, session: SessionDep) -> Note:
    """Write a note."""
    note = Note(owner_id=user.id, text=data.text)
    session.add(note)
    session.flush()
    return note


@router.get("/notes", response_model=list[NoteOut])
def list_notes(user: CurrentUser, session: SessionDep) -> list[Note]:
    """List one's own notes."""
    return list(session.scalars(select(Note).where(Note.owner_id == user.id).order_by(Note.id)))


@router.get("/notes/{note_id}", response_model=NoteOut)
def read_note(note_id: int, user: CurrentUser, session: SessionDep) -> Note:
    """Read a note; another user's note does not exist."""
    note = session.get(Note, note_id)
    if note is None or note.owner_id != user.id:
        raise AppException(404, "No such note")
    return note


@router.get("/joke")
async def joke(client: UpstreamDep, mode: str = "ok") -> Any:
    """Fetch a joke from the upstream; `mode` may be `ok`, `slow` or `down`, to see what becomes of its failures."""
    response = await client.get("/joke", params={"mode": mode})
    response.raise_for_status()
    return response.json()
