"""Notes that only their owner can reach, and a joke from an upstream."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from sqlalchemy import select

from examples.service.blocks import CurrentUser, SessionDep, UpstreamDep
from examples.service.models import Note
from examples.service.schemas import NewNote, NoteOut
from fastapi_patterns import error_responses
from fastapi_patterns.errors import CodedError

router = APIRouter()


class NoSuchNoteError(CodedError, status=404, detail="No such note"):
    """There is none, or it is another user's."""


# What the database's integers hold: a larger one is no note, and a 500 in most drivers.
NoteId = Annotated[int, Path(ge=1, le=2**63 - 1)]

# What `HttpClient` makes of an upstream that fails.
UPSTREAM_FAILURES: dict[int | str, dict[str, Any]] = {
    502: {"description": "The upstream failed"},
    503: {"description": "Too many requests wait for the upstream"},
    504: {"description": "The upstream is too slow"},
}


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


@router.get("/notes/{note_id}", response_model=NoteOut, responses=error_responses(NoSuchNoteError))
def read_note(note_id: NoteId, user: CurrentUser, session: SessionDep) -> Note:
    """Read a note; another user's note does not exist."""
    note = session.get(Note, note_id)
    if note is None or note.owner_id != user.id:
        raise NoSuchNoteError
    return note


@router.get("/joke", responses=UPSTREAM_FAILURES)
async def joke(client: UpstreamDep, mode: str = "ok") -> Any:
    """Fetch a joke from the upstream; `mode` may be `ok`, `slow` or `down`, to see what becomes of its failures."""
    response = await client.get("/joke", params={"mode": mode})
    response.raise_for_status()
    return response.json()
