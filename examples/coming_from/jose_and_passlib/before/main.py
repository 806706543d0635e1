"""An application that stays as it is: only its security.py changes."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel
from security import create_access_token, get_password_hash, read_access_token, verify_password

app = FastAPI()
users: dict[str, dict[str, str]] = {}
WRONG = HTTPException(401, "Could not validate credentials", headers={"WWW-Authenticate": "Bearer"})


class NewUser(BaseModel):
    """What a new user sends."""

    email: str
    password: str


@app.post("/users", status_code=201)
def create_user(new: NewUser) -> dict[str, str]:
    """Make an account."""
    number = str(len(users) + 1)
    users[number] = {"email": new.email, "password": get_password_hash(new.password)}
    return {"id": number}


@app.post("/login")
def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
    """Exchange a password for a token."""
    for number, user in users.items():
        if user["email"] == form.username:
            matches, new_hash = verify_password(form.password, user["password"])
            if matches:
                user["password"] = new_hash or user["password"]
                return {"access_token": create_access_token({"sub": number}), "token_type": "bearer"}
    raise WRONG


@app.get("/me")
def me(token: Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="login"))]) -> dict[str, str]:
    """Say who is logged in."""
    user = users.get(read_access_token(token) or "")
    if user is None:
        raise WRONG
    return {"email": user["email"]}
