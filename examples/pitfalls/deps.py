"""The usual deps.py."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, HTTPException
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from examples.pitfalls.security import read_token

SessionLocal = sessionmaker(create_engine("sqlite://"))
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="login")


def get_db() -> Iterator[Session]:
    """Commit when all is done, which is after the response."""
    db = SessionLocal()
    try:
        yield db
        db.commit()
    finally:
        db.close()


def get_items(db: Annotated[Session, Depends(get_db, scope="function")]) -> list[str]:
    """Read with a session of its own: the route has the other one."""
    return []


def get_current_user(token: Annotated[str, Depends(oauth2_scheme)]) -> dict[str, Any]:
    """Read the user from the token."""
    try:
        return read_token(token)
    except Exception as error:
        raise HTTPException(401, str(error)) from error
