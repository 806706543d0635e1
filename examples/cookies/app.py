"""Login sessions in cookies that scripts cannot read, and a page that uses them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import FileResponse

from fastapi_patterns import (
    Claims,
    LoginSessions,
    PasswordHasher,
    TokenCodec,
    TokenConfig,
    install_stack,
    make_auth_router,
    make_current_user,
)
from fastapi_patterns.auth import (
    AuthCookies,
    CsrfProtection,
    InMemoryTokenStore,
    LoginRules,
    bearer_token,
)

passwords = PasswordHasher()
tokens = TokenCodec(TokenConfig.from_env())
sessions = LoginSessions(InMemoryTokenStore(), tokens=tokens)
csrf = CsrfProtection(os.environ["SECRET_KEY"], allow_origins=["https://shop.example", "http://localhost:8000"])
cookies = AuthCookies(csrf=csrf, insecure_on_loopback=os.environ.get("ENVIRONMENT") == "development")


@dataclass
class User:
    """Your user."""

    id: int
    name: str
    password_hash: str
    cart: list[str]


ADA = User(1, "ada", passwords.hash("correct horse"), [])


def load_user(claims: Claims) -> User | None:
    """Find the user of a token."""
    return {"1": ADA}.get(claims.sub)


get_current_user = make_current_user(
    load_user,
    tokens=tokens,
    sources=[bearer_token("auth/login"), cookies.source()],  # the header is for programs
    revoked=sessions.revoked,
)
CurrentUser = Annotated[User, Depends(get_current_user)]

app = FastAPI()
install_stack(app)
app.include_router(
    make_auth_router(
        sessions,
        find_user={"ada": ADA}.get,
        load_user={"1": ADA}.get,
        rules=LoginRules(passwords=passwords),
        current_user=get_current_user,
        cookies=cookies,
    )
)


@app.get("/", include_in_schema=False)
def page() -> FileResponse:
    """Show the page."""
    return FileResponse(Path(__file__).parent / "page.html")


@app.get("/client.js", include_in_schema=False)
def script() -> FileResponse:
    """Give the page its script."""
    return FileResponse(Path(__file__).parent / "client.js")


@app.get("/cart")
def cart(user: CurrentUser) -> list[str]:
    """Show what is in the cart."""
    return user.cart


@app.post("/cart/{article}")
def add(article: str, user: CurrentUser) -> list[str]:
    """Put something into the cart."""
    user.cart.append(article)
    return user.cart
