"""The blocks, put together once: everything that the routes share."""

from datetime import timedelta
from typing import Annotated

import httpx2
from fastapi import Depends, Security
from sqlalchemy.orm import Session

from examples.service.models import Base, User, token_tables
from examples.service.settings import Settings
from fastapi_patterns import (
    Claims,
    Database,
    HttpClient,
    LoginSessions,
    OneTimeTokens,
    PasswordHasher,
    PendingTasks,
    TaskQueue,
    TokenCodec,
    TokenConfig,
    make_current_user,
)
from fastapi_patterns.auth.stores import SqlAlchemyTokenStore
from fastapi_patterns.security import PasswordPolicy

settings = Settings.from_env()

database = Database(settings.database_url, metadata=Base.metadata)
upstream = HttpClient(settings.upstream_url, timeout_s=settings.upstream_timeout_s)
tasks = TaskQueue()

passwords = PasswordHasher()
policy = PasswordPolicy(blocklist={"correct horse battery"})  # in yours: a published list of common passwords
tokens = TokenCodec(TokenConfig.from_env())
sessions = LoginSessions(SqlAlchemyTokenStore(database, tables=token_tables), tokens=tokens)
resets = OneTimeTokens(settings.secret_key, purpose="password-reset", expires_delta=timedelta(minutes=30))
checks = OneTimeTokens(settings.secret_key, purpose="email-check", expires_delta=timedelta(days=1))

SessionDep = Annotated[Session, Depends(database.session)]
TasksDep = Annotated[PendingTasks, Depends(tasks.pending)]
UpstreamDep = Annotated[httpx2.AsyncClient, Depends(upstream.client)]


def load_user(claims: Claims, session: SessionDep) -> User | None:
    """Find the user of a token."""
    return session.get(User, claims.int_sub)


def is_active(user: User) -> bool:
    """Tell whether a user may come in: one who was deactivated is refused although the token is still good."""
    return user.is_active


def scopes_of(user: User) -> list[str]:
    """Give what a user may do now: a scope that was taken away counts no more, whatever the token says."""
    return user.scopes.split()


get_current_user = make_current_user(
    load_user,
    tokens=tokens,
    token_url="auth/login",
    scopes={"admin": "See all accounts"},
    is_active=is_active,
    revoked=sessions.revoked,
    user_scopes=scopes_of,
)

CurrentUser = Annotated[User, Depends(get_current_user)]
OptionalUser = Annotated[User | None, Depends(get_current_user.optional)]
Admin = Annotated[User, Security(get_current_user, scopes=["admin"])]
