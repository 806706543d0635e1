"""In the manner of fastapi-users' documentation: its SQLAlchemy table, a bearer transport, JWTs."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTable, SQLAlchemyUserDatabase
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SECRET = os.environ["SECRET_KEY"]
engine = create_async_engine("sqlite+aiosqlite:///app.db")
async_session_maker = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The tables."""


class User(SQLAlchemyBaseUserTable[int], Base):
    """Who may log in."""

    id: Mapped[int] = mapped_column(primary_key=True)


class UserRead(schemas.BaseUser[int]):
    """What is shown of a user."""


class UserCreate(schemas.BaseUserCreate):
    """What a new user sends."""


class UserManager(IntegerIDMixin, BaseUserManager[User, int]):
    """What happens to users."""

    reset_password_token_secret = SECRET
    verification_token_secret = SECRET


async def get_async_session() -> AsyncIterator[AsyncSession]:
    """Give a session."""
    async with async_session_maker() as session:
        yield session


async def get_user_db(
    session: Annotated[AsyncSession, Depends(get_async_session)],
) -> AsyncIterator[SQLAlchemyUserDatabase[User, int]]:
    """Give the adapter."""
    yield SQLAlchemyUserDatabase(session, User)


async def get_user_manager(
    user_db: Annotated[SQLAlchemyUserDatabase[User, int], Depends(get_user_db)],
) -> AsyncIterator[UserManager]:
    """Give the manager."""
    yield UserManager(user_db)


def get_jwt_strategy() -> JWTStrategy[User, int]:
    """Say how tokens are made."""
    return JWTStrategy(secret=SECRET, lifetime_seconds=3600)


auth_backend = AuthenticationBackend(
    name="jwt", transport=BearerTransport(tokenUrl="login"), get_strategy=get_jwt_strategy
)
fastapi_users = FastAPIUsers[User, int](get_user_manager, [auth_backend])
CurrentUser = Annotated[User, Depends(fastapi_users.current_user(active=True))]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the tables."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
app.include_router(fastapi_users.get_auth_router(auth_backend))
app.include_router(fastapi_users.get_register_router(UserRead, UserCreate))


@app.get("/me")
async def me(user: CurrentUser) -> dict[str, int | str]:
    """Say who is logged in."""
    return {"id": user.id, "email": user.email}
