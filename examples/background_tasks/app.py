"""A mail after the commit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_patterns import AppException, Database, PendingTasks, TaskQueue, install_stack


class Base(DeclarativeBase):
    """The tables."""


class User(Base):
    """Somebody who gets a mail."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    welcomed: Mapped[bool] = mapped_column(default=False)


database = Database("sqlite:///users.db", metadata=Base.metadata)
tasks = TaskQueue()

SessionDep = Annotated[Session, Depends(database.session)]
TasksDep = Annotated[PendingTasks, Depends(tasks.pending)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the missing tables; an application that grows runs its migrations before it starts instead."""
    database.create_all()
    yield


app = FastAPI(lifespan=lifespan)
install_stack(app, resources=[database, tasks])  # the queue last: it drains while the database is open


def send_welcome(user_id: int) -> None:
    """Runs in a thread, with a session of its own."""
    with database.session_scope() as session:
        user = session.get(User, user_id)
        if user is not None:
            user.welcomed = True  # and here a mail is sent


@app.post("/users")
def create_user(email: str, session: SessionDep, tasks: TasksDep) -> dict[str, int]:
    """Store a user and leave the mail for later."""
    user = User(email=email)
    session.add(user)
    session.flush()
    tasks.add_task(send_welcome, user.id)  # the id, not the row: the session is closed by then
    if "@" not in email:
        raise AppException(400, "Not an address")  # rolls back, and starts no task
    return {"id": user.id}
