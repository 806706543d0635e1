"""In the manner of authx's documentation, with users in memory."""

import os
from typing import Annotated

from authx import AuthX, AuthXConfig, TokenPayload
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordRequestForm
from passlib.context import CryptContext
from pydantic import BaseModel

pwd_context = CryptContext(schemes=["argon2"])
users: dict[int, dict[str, str]] = {}
security = AuthX(config=AuthXConfig(JWT_ALGORITHM="HS256", JWT_SECRET_KEY=os.environ["SECRET_KEY"]))
app = FastAPI()
security.handle_errors(app)


class NewUser(BaseModel):
    """What a new user sends."""

    email: str
    password: str


def get_current_user(
    payload: Annotated[TokenPayload, Depends(security.access_token_required)],
) -> dict[str, int | str]:
    """Find the user of a token."""
    user = users.get(int(payload.sub))
    if user is None:
        raise HTTPException(401, "No such user")
    return {"id": int(payload.sub), "email": user["email"]}


@app.post("/users", status_code=201)
def create_user(new: NewUser) -> dict[str, int]:
    """Make an account."""
    number = len(users) + 1
    users[number] = {"email": new.email, "password": pwd_context.hash(new.password)}
    return {"id": number}


@app.post("/login")
def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
    """Exchange a password for a token."""
    for number, user in users.items():
        if user["email"] == form.username and pwd_context.verify(form.password, user["password"]):
            return {"access_token": security.create_access_token(uid=str(number)), "token_type": "bearer"}
    raise HTTPException(401, "Bad username or password")


@app.get("/me")
def me(user: Annotated[dict[str, int | str], Depends(get_current_user)]) -> dict[str, int | str]:
    """Say who is logged in."""
    return user
