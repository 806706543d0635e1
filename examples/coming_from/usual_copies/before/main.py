"""The usual main.py: a logger as middleware, a catch-all, a login, two routes."""

import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated

from database import Base, User, engine
from deps import CurrentUser, SessionDep
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import BaseModel
from security import create_access_token, get_password_hash, verify_password
from sqlalchemy import select

logger = logging.getLogger("app.requests")
app = FastAPI()
Base.metadata.create_all(engine)


@app.middleware("http")
async def log_requests(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Log each request with an id."""
    request_id = request.headers.get("X-Request-ID") or str(uuid.uuid4())
    started = time.perf_counter()
    response = await call_next(request)
    took = time.perf_counter() - started
    logger.info("%s %s - %.3fs %s %s", request.method, request.url.path, took, response.status_code, request_id)
    response.headers["X-Request-ID"] = request_id
    return response


@app.exception_handler(Exception)
async def unhandled(request: Request, error: Exception) -> JSONResponse:
    """Answer what nothing else has answered."""
    logger.exception("unhandled")
    return JSONResponse({"detail": "Internal Server Error"}, status_code=500)


class NewUser(BaseModel):
    """What a new user sends."""

    email: str
    password: str


@app.post("/users", status_code=201)
def create_user(new: NewUser, db: SessionDep) -> dict[str, int]:
    """Make an account."""
    user = User(email=new.email, hashed_password=get_password_hash(new.password))
    db.add(user)
    db.flush()
    return {"id": user.id}


@app.post("/login")
def login(form: Annotated[OAuth2PasswordRequestForm, Depends()], db: SessionDep) -> dict[str, str]:
    """Exchange a password for a token."""
    user = db.scalar(select(User).where(User.email == form.username))
    if user is None or not verify_password(form.password, user.hashed_password):
        raise HTTPException(401, "Incorrect username or password", headers={"WWW-Authenticate": "Bearer"})
    return {"access_token": create_access_token({"sub": str(user.id)}), "token_type": "bearer"}


@app.get("/me")
def me(user: CurrentUser) -> dict[str, int | str]:
    """Say who is logged in."""
    return {"id": user.id, "email": user.email}
