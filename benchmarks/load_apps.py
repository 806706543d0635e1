"""One small service in four ways, for the load: bare, with this package, with hand-made copies, with peers of ours.

`uvicorn --factory benchmarks.load_apps:ours`. All of them read the users of one SQLite file, whose path is in
`LOAD_DATABASE`, hash with the parameters of argon2-cffi, and write their log to nowhere.
"""

import json
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.auth_peers import User
from benchmarks.middleware_peers import structlog_recipe
from fastapi_patterns import (
    AppException,
    AsyncDatabase,
    Claims,
    PasswordHasher,
    RequestLogConfig,
    TokenCodec,
    TokenConfig,
    install_stack,
    make_current_user,
)
from fastapi_patterns.logs import JsonLines

__all__ = ["bare", "by_hand", "ours", "peers"]

# Of every process of the run: a token of one is good in all of them, as in production.
_SECRET = os.environ.get("LOAD_SECRET", "0" * 64)
_AUDIENCE = "fastapi-users:auth"

FormDep = Annotated[OAuth2PasswordRequestForm, Depends()]


class Note(BaseModel):
    """What is sent to the service."""

    title: str
    stars: int


def bare() -> FastAPI:
    """The floor: the same routes, without users, sessions, log and errors of one's own."""
    return _service(lambda: None)


def ours() -> FastAPI:
    """This package: the stack, sessions, the current user; a login as its documentation has it."""
    database = AsyncDatabase(_url())
    session_dep = Annotated[AsyncSession, Depends(database.session)]
    tokens = TokenCodec(TokenConfig(secret_key=_SECRET, audience=_AUDIENCE))
    hasher = PasswordHasher()

    async def load_user(claims: Claims, session: session_dep) -> User | None:
        return await session.get(User, claims.int_sub)

    app = _service(make_current_user(load_user, tokens=tokens, token_url="auth/login"))

    @app.post("/auth/login")
    async def login(form: FormDep, session: session_dep) -> dict[str, str]:
        user = await session.scalar(select(User).where(User.email == form.username))
        good = await hasher.averify(form.password, None if user is None else user.hashed_password)
        if user is None or not good:
            raise AppException(401, "Wrong name or password", headers={"WWW-Authenticate": "Bearer"})
        return {"access_token": tokens.encode({"sub": user.id}), "token_type": "bearer"}

    install_stack(app, resources=[database], request_log=RequestLogConfig(sink=JsonLines(_nowhere())))
    return app


def by_hand() -> FastAPI:
    """What projects paste: python-jose, passlib's argon2, `get_db`, and a logger in `@app.middleware("http")`."""
    from jose import JWTError, jwt
    from passlib.context import CryptContext

    context = CryptContext(schemes=["argon2"], argon2__time_cost=3, argon2__memory_cost=65536, argon2__parallelism=4)
    scheme = OAuth2PasswordBearer(tokenUrl="auth/login")
    sessions = _sessions()
    wrong = HTTPException(401, "Could not validate credentials", headers={"WWW-Authenticate": "Bearer"})

    async def get_db() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session
            await session.commit()

    db_dep = Annotated[AsyncSession, Depends(get_db)]

    async def get_current_user(token: Annotated[str, Depends(scheme)], db: db_dep) -> User:
        try:
            payload = jwt.decode(token, _SECRET, algorithms=["HS256"], audience=_AUDIENCE)
        except JWTError:
            raise wrong from None
        user = await db.get(User, int(payload["sub"]))
        if user is None:
            raise wrong
        return user

    app = _service(get_current_user)

    @app.post("/auth/login")
    def login(form: FormDep) -> dict[str, str]:  # in a thread, since hashing blocks
        user = _found(form.username)
        if user is None or not context.verify(form.password, user.hashed_password):
            raise wrong
        claims = {"sub": str(user.id), "aud": _AUDIENCE, "exp": datetime.now(UTC) + timedelta(minutes=15)}
        return {"access_token": jwt.encode(claims, _SECRET, algorithm="HS256"), "token_type": "bearer"}

    logger = logging.getLogger("benchmarks.by_hand")
    logger.addHandler(logging.StreamHandler(open(os.devnull, "w")))  # noqa: SIM115
    logger.setLevel(logging.INFO)
    logger.propagate = False

    @app.middleware("http")
    async def log_requests(request: Request, call_next: Callable[[Request], Any]) -> Any:
        request_id = request.headers.get("X-Request-ID") or str(uuid.uuid4())
        started = time.perf_counter()
        response = await call_next(request)
        fields = {"method": request.method, "path": request.url.path, "status": response.status_code}
        logger.info(json.dumps({**fields, "duration": time.perf_counter() - started, "request_id": request_id}))
        response.headers["X-Request-ID"] = request_id
        return response

    return app


def peers() -> FastAPI:
    """fastapi-users, structlog and asgi-correlation-id, each set up as its documentation says."""
    users = import_module("fastapi_users")
    authentication = import_module("fastapi_users.authentication")
    adapter = import_module("fastapi_users_db_sqlalchemy")
    sessions = _sessions()

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    async def get_user_db(session: Annotated[AsyncSession, Depends(get_session)]) -> AsyncIterator[Any]:
        yield adapter.SQLAlchemyUserDatabase(session, User)

    manager = type("Manager", (users.IntegerIDMixin, users.BaseUserManager), {})

    async def get_manager(found: Annotated[Any, Depends(get_user_db)]) -> AsyncIterator[Any]:
        yield manager(found)

    backend = authentication.AuthenticationBackend(
        name="jwt",
        transport=authentication.BearerTransport(tokenUrl="auth/login"),
        get_strategy=lambda: authentication.JWTStrategy(secret=_SECRET, lifetime_seconds=900),
    )
    found = users.FastAPIUsers(get_manager, [backend])
    app = _service(found.current_user(active=True))
    app.include_router(found.get_auth_router(backend), prefix="/auth")
    structlog_recipe(app)
    app.add_middleware(import_module("asgi_correlation_id").CorrelationIdMiddleware)
    return app


def _service(get_current_user: Callable[..., Any]) -> FastAPI:
    """The routes, whoever says who is calling."""
    app = FastAPI()
    user_dep = Annotated[Any, Depends(get_current_user)]

    @app.get("/me")
    async def me(user: user_dep) -> dict[str, int]:
        return {"id": 1 if user is None else user.id}

    @app.post("/notes", status_code=201)
    async def create(note: Note, user: user_dep) -> Note:
        return note

    return app


def _url() -> str:
    return f"sqlite+aiosqlite:///{os.environ['LOAD_DATABASE']}"


def _sessions() -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(create_async_engine(_url()), expire_on_commit=False)


def _found(email: str) -> User | None:
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    global _engine
    _engine = _engine or create_engine(_url().replace("+aiosqlite", ""))
    with Session(_engine, expire_on_commit=False) as session:
        return session.scalar(select(User).where(User.email == email))


_engine: Any = None


def _nowhere() -> Any:
    return open(os.devnull, "wb")  # as long as the server runs
