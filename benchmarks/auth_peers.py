"""The `get_current_user` that people write, and what they would install instead, set up as their documentation says.

Each gives the application of `make_app`, with the current user as the dependency, and the headers of somebody who is
logged in; all of them read the same table of users.
"""

import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.openapi.models import HTTPBase
from fastapi.security import OAuth2PasswordBearer, SecurityScopes
from fastapi.security.base import SecurityBase
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from starlette.requests import HTTPConnection

__all__ = ["SECRET", "Base", "User", "authx", "empty", "fastapi_users", "installed", "usual", "usual_without_database"]

SECRET = secrets.token_urlsafe(64)

Made = tuple[FastAPI, dict[str, str]]
MakeApp = Callable[[Any], FastAPI]


class Base(DeclarativeBase):
    """The tables."""


class User(Base):
    """A user, with the columns that fastapi-users wants."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    hashed_password: Mapped[str]
    is_active: Mapped[bool]
    is_superuser: Mapped[bool]
    is_verified: Mapped[bool]


def _claims() -> dict[str, Any]:
    now = datetime.now(UTC)
    return {"sub": "1", "iat": now, "exp": now + timedelta(hours=1), "jti": secrets.token_urlsafe(16)}


def _user_id(token: str) -> int:
    from jose import JWTError, jwt

    error = HTTPException(401, "Could not validate credentials", headers={"WWW-Authenticate": "Bearer"})
    try:
        payload = jwt.decode(token, SECRET, algorithms=["HS256"])
    except JWTError:
        raise error from None
    if payload.get("sub") is None:
        raise error
    return int(payload["sub"])


def _jose_headers() -> dict[str, str]:
    from jose import jwt

    return {"authorization": f"Bearer {jwt.encode(_claims(), SECRET, algorithm='HS256')}"}


def installed(package: str) -> bool:
    """Tell whether a peer is there: these two cannot be installed beside the peers of other suites."""
    return find_spec(package) is not None


class _Scheme(SecurityBase):
    def __init__(self) -> None:
        self.model = HTTPBase(scheme="bearer")
        self.scheme_name = "Empty"

    async def __call__(self, connection: HTTPConnection) -> int:
        return 1


def empty(make_app: MakeApp) -> Made:
    """Two dependencies that do nothing, one on the other, as a scheme with a user on it is: FastAPI's own part."""
    scheme = _Scheme()

    async def get_current_user(
        connection: HTTPConnection, scopes: SecurityScopes, user: Annotated[int, Depends(scheme)]
    ) -> int:
        return user

    return make_app(get_current_user), _jose_headers()


def usual_without_database(make_app: MakeApp) -> Made:
    """FastAPI's tutorial, with python-jose and a user that is in memory."""
    scheme = OAuth2PasswordBearer(tokenUrl="login")

    async def get_current_user(token: Annotated[str, Depends(scheme)]) -> int:
        return _user_id(token)

    return make_app(get_current_user), _jose_headers()


def usual(sessions: sessionmaker[Session], make_app: MakeApp) -> Made:
    """The same, with `get_db` and a query."""
    scheme = OAuth2PasswordBearer(tokenUrl="login")

    def get_db() -> Any:
        with sessions() as session:
            yield session

    def get_current_user(token: Annotated[str, Depends(scheme)], db: Annotated[Session, Depends(get_db)]) -> User:
        user = db.get(User, _user_id(token))
        if user is None:
            raise HTTPException(401, "Could not validate credentials", headers={"WWW-Authenticate": "Bearer"})
        return user

    return make_app(get_current_user), _jose_headers()


def fastapi_users(sessions: async_sessionmaker[AsyncSession] | None, make_app: MakeApp) -> Made:
    """fastapi-users: bearer transport, its JWT strategy, its SQLAlchemy adapter; without sessions a user in memory."""
    users = import_module("fastapi_users")
    authentication = import_module("fastapi_users.authentication")
    get_user_db = _in_memory() if sessions is None else _in_a_database(sessions)

    manager = type("Manager", (users.IntegerIDMixin, users.BaseUserManager), {})

    async def get_manager(found: Annotated[Any, Depends(get_user_db)]) -> AsyncIterator[Any]:
        yield manager(found)

    backend = authentication.AuthenticationBackend(
        name="jwt",
        transport=authentication.BearerTransport(tokenUrl="login"),
        get_strategy=lambda: authentication.JWTStrategy(secret=SECRET, lifetime_seconds=3600),
    )
    token = import_module("fastapi_users.jwt").generate_jwt({"sub": "1", "aud": ["fastapi-users:auth"]}, SECRET, 3600)
    current_user = users.FastAPIUsers(get_manager, [backend]).current_user(active=True)
    return make_app(current_user), {"authorization": f"Bearer {token}"}


def _in_a_database(sessions: async_sessionmaker[AsyncSession]) -> Callable[..., AsyncIterator[Any]]:
    database = import_module("fastapi_users_db_sqlalchemy")

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    async def get_user_db(session: Annotated[AsyncSession, Depends(get_session)]) -> AsyncIterator[Any]:
        yield database.SQLAlchemyUserDatabase(session, User)

    return get_user_db


def _in_memory() -> Callable[..., AsyncIterator[Any]]:
    user = User(id=1, is_active=True)

    class InMemory(import_module("fastapi_users.db").BaseUserDatabase):  # type: ignore[misc]
        async def get(self, id: int) -> User:  # noqa: A002  # its name there
            return user

    adapter = InMemory()

    async def get_user_db() -> AsyncIterator[Any]:
        yield adapter

    return get_user_db


def authx(sessions: async_sessionmaker[AsyncSession] | None, make_app: MakeApp) -> Made:
    """authx: `access_token_required`, and the user by its subject; without sessions the payload alone."""
    package = import_module("authx")
    security = package.AuthX(config=package.AuthXConfig(JWT_ALGORITHM="HS256", JWT_SECRET_KEY=SECRET))
    headers = {"authorization": f"Bearer {security.create_access_token(uid='1')}"}
    if sessions is None:
        return make_app(security.access_token_required), headers
    made = sessions

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with made() as session:
            yield session

    async def get_current_user(
        payload: Annotated[Any, Depends(security.access_token_required)],
        session: Annotated[AsyncSession, Depends(get_session)],
    ) -> User | None:
        return await session.get(User, int(payload.sub))

    return make_app(get_current_user), headers
