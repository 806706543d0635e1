"""Keys that programs send in a header: shown once, stored hashed, compared in constant time."""

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Security
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_patterns import (
    AppException,
    Claims,
    Database,
    TokenCodec,
    TokenConfig,
    install_stack,
    make_current_user,
)
from fastapi_patterns.auth import api_key_header, bearer_token


class Base(DeclarativeBase):
    """The tables."""


class ApiKey(Base):
    """A key, or rather what proves it."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    owner: Mapped[str]
    scopes: Mapped[str]  # with blanks between


@dataclass(frozen=True)
class Caller:
    """Who calls: a person with a token, or a program with a key of theirs."""

    name: str
    scopes: tuple[str, ...]


USERS = {"ada": Caller("ada", ("keys", "reports:read"))}  # stands for your table

database = Database("sqlite://", metadata=Base.metadata)
tokens = TokenCodec(TokenConfig.from_env())
SessionDep = Annotated[Session, Depends(database.session)]


def digest_of(secret: str) -> str:
    """Hash the secret half of a key: 256 random bits need no salt and no cost."""
    return hashlib.sha256(secret.encode()).hexdigest()


NO_KEY = digest_of(secrets.token_urlsafe(32))


def load_user(claims: Claims) -> Caller | None:
    """Find the person of a token."""
    return USERS.get(claims.sub)


def load_program(key: str, session: SessionDep) -> Caller | None:
    """Find the program of a key, `id.secret`: the row by the id, and then the secret compared."""
    key_id, _, secret = key.partition(".")
    row = session.get(ApiKey, key_id)
    known = hmac.compare_digest(digest_of(secret), row.digest if row else NO_KEY)
    return Caller(row.owner, tuple(row.scopes.split())) if row and known else None


get_caller = make_current_user(
    load_user,
    tokens=tokens,
    sources=[bearer_token(), api_key_header("X-API-Key", load_program)],
    user_scopes=lambda caller: caller.scopes,
)
KeyOwner = Annotated[Caller, Security(get_caller, scopes=["keys"])]
Reader = Annotated[Caller, Security(get_caller, scopes=["reports:read"])]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the table."""
    database.create_all()
    yield


app = FastAPI(lifespan=lifespan)
install_stack(app, resources=[database])


@app.post("/keys", status_code=201)
def make_key(caller: KeyOwner, session: SessionDep) -> dict[str, str]:
    """Make a key that may read reports; this answer is the only one that shows it."""
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    session.add(ApiKey(id=key_id, digest=digest_of(secret), owner=caller.name, scopes="reports:read"))
    return {"id": key_id, "key": f"{key_id}.{secret}"}


@app.delete("/keys/{key_id}", status_code=204)
def delete_key(key_id: str, caller: KeyOwner, session: SessionDep) -> None:
    """Take a key of one's own back; the next request with it is refused."""
    row = session.get(ApiKey, key_id)
    if row is None or row.owner != caller.name:
        raise AppException(404, "No such key")
    session.delete(row)


@app.get("/reports")
def reports(caller: Reader) -> dict[str, str]:
    """For people and programs."""
    return {"reader": caller.name}
