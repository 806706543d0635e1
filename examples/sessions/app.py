"""Accounts in a database, sessions that can be ended, and a route for those who are logged in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_patterns import (
    AppException,
    Claims,
    Database,
    LoginSessions,
    PasswordHasher,
    TokenCodec,
    TokenConfig,
    install_stack,
    make_auth_router,
    make_current_user,
)
from fastapi_patterns.auth import LoginRules
from fastapi_patterns.auth.stores import SqlAlchemyTokenStore, token_store_tables
from fastapi_patterns.security import PasswordError, PasswordPolicy


class Base(DeclarativeBase):
    """The tables."""


class User(Base):
    """Somebody with an account."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]


database = Database("sqlite:///shop.db", metadata=Base.metadata)
store = SqlAlchemyTokenStore(database, tables=token_store_tables(Base.metadata))
tokens = TokenCodec(TokenConfig.from_env())  # SECRET_KEY
sessions = LoginSessions(store, tokens=tokens)
passwords = PasswordHasher()
policy = PasswordPolicy()

SessionDep = Annotated[Session, Depends(database.session)]


def load_user(claims: Claims, session: SessionDep) -> User | None:
    """Find the user of an access token."""
    return session.get(User, claims.int_sub)


get_current_user = make_current_user(load_user, tokens=tokens, token_url="auth/login", revoked=sessions.revoked)
CurrentUser = Annotated[User, Depends(get_current_user)]


def find_user(name: str) -> User | None:
    """Find the user who logs in."""
    with database.session_scope() as session:
        return session.scalar(select(User).where(User.name == name))


def find_subject(subject: str) -> User | None:
    """Find the user of a session that is refreshed."""
    with database.session_scope() as session:
        return session.get(User, int(subject))


def renew_hash(user: User, new_hash: str) -> None:
    """Store a hash of today's strength, unless the password was changed meanwhile."""
    unchanged = (User.id == user.id, User.password_hash == user.password_hash)
    with database.session_scope() as session:
        session.execute(update(User).where(*unchanged).values(password_hash=new_hash))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the tables."""
    database.create_all()
    yield


app = FastAPI(lifespan=lifespan)
install_stack(app, resources=[database])
app.include_router(
    make_auth_router(
        sessions,
        find_user=find_user,
        load_user=find_subject,
        rules=LoginRules(passwords=passwords, set_password_hash=renew_hash),
        current_user=get_current_user,
    )
)


class Registration(BaseModel):
    """A name and a password."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str
    password: str


@app.post("/register", status_code=201)
def register(data: Registration, session: SessionDep) -> dict[str, str]:
    """Make an account."""
    try:
        policy.check(data.password, words=[data.name])
    except PasswordError as error:
        raise AppException(400, str(error)) from None
    password_hash = passwords.hash(data.password)  # takes a while, before the session takes a connection
    if session.scalar(select(User).where(User.name == data.name)) is not None:
        raise AppException(409, "This name is taken")
    session.add(User(name=data.name, password_hash=password_hash))
    return {"name": data.name}


@app.get("/me")
def me(user: CurrentUser) -> dict[str, str]:
    """For whoever is logged in."""
    return {"name": user.name}
