"""Create a user and read one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_patterns import AppException, Database, install_stack


class Base(DeclarativeBase):
    """The tables."""


class User(Base):
    """Somebody."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]


class UserIn(BaseModel):
    """What a client sends."""

    email: str
    name: str


class UserOut(UserIn):
    """What a client gets."""

    model_config = ConfigDict(from_attributes=True)

    id: int


database = Database("sqlite:///users.db", metadata=Base.metadata)
SessionDep = Annotated[Session, Depends(database.session)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the missing tables; an application that grows runs its migrations before it starts instead."""
    database.create_all()
    yield


app = FastAPI(lifespan=lifespan)
install_stack(app, resources=[database])


@app.post("/users/", response_model=UserOut)
def create_user(data: UserIn, session: SessionDep) -> User:
    """Create a user; the session commits before the response is sent."""
    user = User(**data.model_dump())
    session.add(user)
    session.flush()  # gives the user its id, which the response needs
    return user


@app.get("/users/{user_id}", response_model=UserOut)
def read_user(user_id: int, session: SessionDep) -> User:
    """Return one user."""
    user = session.get(User, user_id)
    if user is None:
        raise AppException(404, "User not found")
    return user
