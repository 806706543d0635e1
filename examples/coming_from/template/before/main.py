"""In the manner of a full-stack template: SQLModel, `core/security.py` and `api/deps.py` in one file for this page."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, status
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from jose import jwt
from jose.exceptions import JWTError
from passlib.context import CryptContext
from pydantic import BaseModel, ValidationError
from sqlmodel import Field, Session, SQLModel, create_engine, select

SECRET_KEY = os.environ["SECRET_KEY"]
pwd_context = CryptContext(schemes=["argon2"], deprecated="auto")
engine = create_engine("sqlite:///app.db", connect_args={"check_same_thread": False})
reusable_oauth2 = OAuth2PasswordBearer(tokenUrl="/login")


class User(SQLModel, table=True):
    """Who may log in."""

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True)
    hashed_password: str
    is_active: bool = True
    is_superuser: bool = False


class TokenPayload(BaseModel):
    """What a token holds."""

    sub: str | None = None


class NewUser(BaseModel):
    """What a new user sends."""

    email: str
    password: str


def create_access_token(subject: Any, expires_delta: timedelta) -> str:
    """Make a token."""
    return str(jwt.encode({"exp": datetime.now(UTC) + expires_delta, "sub": str(subject)}, SECRET_KEY, "HS256"))


def get_db() -> Iterator[Session]:
    """Give a session; routes commit."""
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_db)]
TokenDep = Annotated[str, Depends(reusable_oauth2)]


def get_current_user(session: SessionDep, token: TokenDep) -> User:
    """Find the user of a token."""
    try:
        payload = TokenPayload(**jwt.decode(token, SECRET_KEY, algorithms=["HS256"]))
    except (JWTError, ValidationError):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Could not validate credentials") from None
    user = session.get(User, payload.sub)
    if not user:
        raise HTTPException(404, "User not found")
    if not user.is_active:
        raise HTTPException(400, "Inactive user")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


def get_current_active_superuser(current_user: CurrentUser) -> User:
    """Let administrators through."""
    if not current_user.is_superuser:
        raise HTTPException(403, "The user doesn't have enough privileges")
    return current_user


app = FastAPI()
SQLModel.metadata.create_all(engine)


@app.post("/users", status_code=201)
def create_user(new: NewUser, session: SessionDep) -> dict[str, int | None]:
    """Make an account."""
    user = User(email=new.email, hashed_password=pwd_context.hash(new.password))
    session.add(user)
    session.commit()
    session.refresh(user)
    return {"id": user.id}


@app.post("/login")
def login(form: Annotated[OAuth2PasswordRequestForm, Depends()], session: SessionDep) -> dict[str, str]:
    """Exchange a password for a token."""
    user = session.exec(select(User).where(User.email == form.username)).first()
    if not user or not pwd_context.verify(form.password, user.hashed_password):
        raise HTTPException(400, "Incorrect email or password")
    return {"access_token": create_access_token(user.id, timedelta(days=8)), "token_type": "bearer"}


@app.get("/me")
def me(user: CurrentUser) -> dict[str, int | str | None]:
    """Say who is logged in."""
    return {"id": user.id, "email": user.email}


@app.get("/users", dependencies=[Depends(get_current_active_superuser)])
def users(session: SessionDep) -> list[str]:
    """List everybody, for administrators."""
    return [user.email for user in session.exec(select(User))]
