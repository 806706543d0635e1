"""A login, the user's own page, a greeting for everybody, a page for administrators, a page behind a scope."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Response, Security
from fastapi.security import OAuth2PasswordRequestForm

from fastapi_patterns import (
    AppException,
    Claims,
    PasswordHasher,
    TokenCodec,
    TokenConfig,
    install_stack,
    make_current_user,
)

passwords = PasswordHasher()  # argon2id
tokens = TokenCodec(TokenConfig.from_env())  # SECRET_KEY


@dataclass(frozen=True)
class User:
    """Your user, of whatever kind: an ORM row, a pydantic model, a dict."""

    name: str
    password_hash: str
    is_admin: bool = False
    scopes: str = ""


USERS = {
    "ada": User("ada", passwords.hash("correct horse"), is_admin=True, scopes="reports:read"),
    "eve": User("eve", passwords.hash("battery staple")),
}


def load_user(claims: Claims) -> User | None:
    """Find the user of a verified token; None is a 401."""
    return USERS.get(claims.sub)


get_current_user = make_current_user(
    load_user, tokens=tokens, token_url="login", scopes={"reports:read": "Read the reports"}
)
CurrentUser = Annotated[User, Depends(get_current_user)]
OptionalUser = Annotated[User | None, Depends(get_current_user.optional)]
Admin = Annotated[User, Depends(get_current_user.requiring(lambda user: user.is_admin))]
Reader = Annotated[User, Security(get_current_user, scopes=["reports:read"])]

app = FastAPI()
install_stack(app)


@app.post("/login")
def login(form: Annotated[OAuth2PasswordRequestForm, Depends()], response: Response) -> dict[str, str]:
    """Exchange a name and a password for a token."""
    user = USERS.get(form.username)
    # With None as the hash, an unknown user costs as much time as a wrong password.
    if not passwords.verify(form.password, user.password_hash if user else None) or user is None:
        raise AppException(401, "Wrong name or password", headers={"WWW-Authenticate": "Bearer"})
    response.headers["Cache-Control"] = "no-store"  # no cache may keep a token (RFC 6749 section 5.1)
    return {"access_token": tokens.encode({"sub": user.name, "scope": user.scopes}), "token_type": "bearer"}


@app.get("/me")
def me(user: CurrentUser) -> dict[str, str]:
    """For whoever is logged in."""
    return {"name": user.name}


@app.get("/hello")
def hello(user: OptionalUser) -> dict[str, str]:
    """For everybody."""
    return {"message": f"Hello, {user.name if user else 'stranger'}!"}


@app.get("/admin")
def admin(user: Admin) -> dict[str, str]:
    """For administrators."""
    return {"name": user.name}


@app.get("/reports")
def reports(user: Reader) -> dict[str, str]:
    """For tokens with the scope."""
    return {"reader": user.name}
