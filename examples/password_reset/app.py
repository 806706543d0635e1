"""A forgotten password and a new e-mail address, each confirmed with a link that works once."""

import os
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Response
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import BaseModel, Field
from sqlalchemy import select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_patterns import (
    AppException,
    Claims,
    Database,
    OneTimeTokens,
    PasswordHasher,
    TokenCodec,
    TokenConfig,
    TokenError,
    install_stack,
    make_current_user,
)


class Base(DeclarativeBase):
    """The tables."""


class User(Base):
    """Somebody with an account."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    email_verified: Mapped[bool] = mapped_column(default=False)
    password_hash: Mapped[str]
    session_version: Mapped[int] = mapped_column(default=0)


class Forgotten(BaseModel):
    """Whose password it is."""

    email: str


class Reset(BaseModel):
    """The token of the mail, and the password to be."""

    token: str
    password: str = Field(min_length=15)


class Check(BaseModel):
    """The token of the mail."""

    token: str


class Token(BaseModel):
    """What a login answers."""

    access_token: str
    token_type: str = "bearer"


SECRET_KEY = os.environ["SECRET_KEY"]
database = Database("sqlite://", metadata=Base.metadata)
passwords = PasswordHasher()
resets = OneTimeTokens(SECRET_KEY, purpose="password-reset", expires_delta=timedelta(minutes=30))
checks = OneTimeTokens(SECRET_KEY, purpose="email-check", expires_delta=timedelta(days=1))
outbox: list[tuple[str, str]] = []  # instead of a mail server: who gets which token

SessionDep = Annotated[Session, Depends(database.session)]
app = FastAPI()
install_stack(app, resources=[database])

tokens = TokenCodec(TokenConfig(secret_key=SECRET_KEY))


def access_token(user: User) -> str:
    """Make what a login gives: a token for the user's sessions as they are now."""
    return tokens.encode({"sub": user.id, "ver": user.session_version})


def load_user(claims: Claims, session: SessionDep) -> User | None:
    """Find the user of a token, unless their sessions have ended since it was made."""
    user = session.get(User, claims.int_sub)
    return user if user is not None and claims.get("ver") == user.session_version else None


get_current_user = make_current_user(load_user, tokens=tokens, token_url="login")
CurrentUser = Annotated[User, Depends(get_current_user)]


@app.post("/login")
def login(form: Annotated[OAuth2PasswordRequestForm, Depends()], session: SessionDep, response: Response) -> Token:
    """Exchange an address and a password for a token."""
    user = session.scalar(select(User).where(User.email == form.username))
    if not passwords.verify(form.password, user.password_hash if user else None) or user is None:
        raise AppException(401, "Wrong address or password", headers={"WWW-Authenticate": "Bearer"})
    response.headers["Cache-Control"] = "no-store"  # no cache may keep a token (RFC 6749 section 5.1)
    return Token(access_token=access_token(user))


@app.get("/me")
def me(user: CurrentUser) -> dict[str, str]:
    """Show who is logged in."""
    return {"email": user.email}


@app.post("/password/forgotten", status_code=202)
def forgotten(data: Forgotten, session: SessionDep) -> dict[str, str]:
    """Send a link; the answer does not tell whether there is such an account."""
    user = session.scalar(select(User).where(User.email == data.email))
    if user is not None:
        outbox.append((user.email, resets.issue(user.id, state=user.password_hash)))
    return {"message": "If there is an account with this address, we have sent it a link."}


@app.post("/password/reset", status_code=204)
def reset(data: Reset, session: SessionDep) -> None:
    """Set the new password, once, and end all sessions."""
    user = _user_of(resets, data.token, session)
    old = user.password_hash
    _verify(resets, data.token, state=old)
    # Only where the hash is still the one that the token was made for: of two uses at once, one wins.
    changed = session.execute(
        update(User)
        .where(User.id == user.id, User.password_hash == old)
        .values(password_hash=passwords.hash(data.password), session_version=User.session_version + 1)
        .execution_options(synchronize_session=False)
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]  # an UPDATE's result has it
        raise _refused()


@app.post("/email/check", status_code=204)
def check_email(data: Check, session: SessionDep) -> None:
    """Mark the address as the user's own; a token for an address that was changed meanwhile is worthless."""
    user = _user_of(checks, data.token, session)
    _verify(checks, data.token, state=(user.email, user.email_verified))
    user.email_verified = True


def _user_of(tokens: OneTimeTokens, token: str, session: Session) -> User:
    try:
        user = session.get(User, int(tokens.subject_of(token)))
    except TokenError:
        raise _refused() from None
    if user is None:
        raise _refused()
    return user


def _verify(tokens: OneTimeTokens, token: str, *, state: str | tuple[str, bool]) -> None:
    try:
        tokens.verify(token, state=state)
    except TokenError:
        raise _refused() from None


def _refused() -> AppException:
    return AppException(400, "This link does not work any more. Ask for a new one.", code="link_expired")
