"""The blocks, put together once: everything that the routes share."""

from typing import Annotated

import httpx2
from fastapi import Depends
from sqlalchemy.orm import Session

from examples.service.models import Base, User
from examples.service.settings import Settings
from fastapi_patterns import (
    Claims,
    Database,
    HttpClient,
    PasswordHasher,
    PendingTasks,
    TaskQueue,
    TokenCodec,
    TokenConfig,
    make_current_user,
)

settings = Settings.from_env()

database = Database(settings.database_url, metadata=Base.metadata)
upstream = HttpClient(settings.upstream_url, timeout_s=settings.upstream_timeout_s)
tasks = TaskQueue()
tokens = TokenCodec(TokenConfig.from_env())
passwords = PasswordHasher()

SessionDep = Annotated[Session, Depends(database.session)]
TasksDep = Annotated[PendingTasks, Depends(tasks.pending)]
UpstreamDep = Annotated[httpx2.AsyncClient, Depends(upstream.client)]


def load_user(claims: Claims, session: SessionDep) -> User | None:
    """Find the user of a token; one who was deactivated is refused although the token is still good."""
    user = session.get(User, claims.int_sub)
    return user if user is not None and user.is_active else None


get_current_user = make_current_user(load_user, tokens=tokens, token_url="auth/login")

CurrentUser = Annotated[User, Depends(get_current_user)]
OptionalUser = Annotated[User | None, Depends(get_current_user.optional)]
Admin = Annotated[User, Depends(get_current_user.requiring(lambda user: user.is_admin))]
