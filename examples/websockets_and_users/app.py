"""A websocket that loads its user from the database, and holds no connection of the pool while it is open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_patterns import AsyncDatabase, Claims, TokenCodec, TokenConfig, install_stack, make_current_user


class Base(DeclarativeBase):
    """The tables."""


class User(Base):
    """Somebody who talks."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


database = AsyncDatabase("sqlite:///chat.db", metadata=Base.metadata)
tokens = TokenCodec(TokenConfig.from_env())


async def load_user(claims: Claims) -> User | None:
    """Find the user of a token, in a session that ends here and not with the socket."""
    async with database.session_scope() as session:
        return await session.get(User, claims.int_sub)


get_current_user = make_current_user(load_user, tokens=tokens)
CurrentUser = Annotated[User, Depends(get_current_user)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the missing tables; an application that grows runs its migrations before it starts instead."""
    await database.create_all()
    yield


app = FastAPI(lifespan=lifespan)
install_stack(app, resources=[database])


@app.websocket("/chat")
async def chat(websocket: WebSocket, user: CurrentUser) -> None:
    """Echo what is said, and ask the database for each word in a session of its own."""
    await websocket.accept()
    try:
        while True:
            said = await websocket.receive_text()
            async with database.session_scope() as session:
                name = (await session.get_one(User, user.id)).name
            await websocket.send_text(f"{name}: {said}")
    except WebSocketDisconnect:
        pass
