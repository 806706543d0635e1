"""A login that counts attempts."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI
from limits.aio.storage import MemoryStorage, Storage

from examples.slow_down.guard import LoginGuard
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
from fastapi_patterns.auth import InMemoryTokenStore, LoginRules

passwords = PasswordHasher()


@dataclass
class User:
    """Your user."""

    id: int
    name: str
    password_hash: str


def make_app(store: Storage | None = None) -> FastAPI:
    """Make the application; the counters are in memory, or in this store."""
    ada = User(1, "ada", passwords.hash("correct horse"))
    tokens = TokenCodec(TokenConfig.from_env())
    sessions = LoginSessions(InMemoryTokenStore(), tokens=tokens)

    def load_user(claims: Claims) -> User | None:
        return {"1": ada}.get(claims.sub)

    get_current_user = make_current_user(load_user, tokens=tokens, revoked=sessions.revoked)
    app = FastAPI()
    install_stack(app)
    app.include_router(
        make_auth_router(
            sessions,
            find_user={"ada": ada}.get,
            load_user={"1": ada}.get,
            rules=LoginRules(passwords=passwords),
            current_user=get_current_user,
            guard=LoginGuard(store or MemoryStorage(wrap_exceptions=True), when_store_is_down="refuse"),
        )
    )

    @app.get("/me")
    def me(user: Annotated[User, Depends(get_current_user)]) -> dict[str, str]:
        return {"name": user.name}

    return app
