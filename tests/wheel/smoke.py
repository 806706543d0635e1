"""Uses the installed wheel as a newcomer would: `smoke.py bare`, `db` or `standard`, by `scripts/test-wheel`."""

import asyncio
import sys
from importlib.metadata import entry_points
from typing import Annotated, Any

import fastapi_patterns

assert "site-packages" in fastapi_patterns.__file__, fastapi_patterns.__file__


async def call(app: Any, method: str, path: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> tuple[int, bytes]:
    """Send one request to an ASGI application, with its lifespan around it."""
    sent: list[Any] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http", "headers": list(headers),
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def bare() -> None:
    """Without extras: errors, log, CORS and the stack work; the other rooms name their extra."""
    from fastapi import FastAPI

    from fastapi_patterns import AppException, configure_logging, install_stack

    app = FastAPI()
    install_stack(app, allow_origins=["https://app.example"])
    configure_logging("json")

    @app.get("/teapot")
    def teapot() -> None:
        raise AppException(418, "I am a teapot")

    assert asyncio.run(call(app, "GET", "/teapot")) == (418, b'{"error":"I am a teapot"}')
    for name, room, extra in (
        ("TokenCodec", "security", "security"),
        ("make_current_user", "security", "security"),
        ("Database", "db", "db"),
        ("AsyncDatabase", "db.AsyncDatabase", "async-db"),
        ("HttpClient", "http", "http"),
    ):
        try:
            getattr(fastapi_patterns, name)
        except fastapi_patterns.MissingExtraError as error:
            assert f"fastapi_patterns.{room} needs" in str(error), error
            assert f"pip install 'fastapi-patterns[{extra}]'" in str(error), error
        else:
            raise AssertionError(f"{name} came without its extra")
    assert "fastapi_patterns" in {found.name for found in entry_points(group="pytest11")}


def db() -> None:
    """With [db] alone: the sync database works, the async one names its extra."""
    from sqlalchemy import text

    with fastapi_patterns.Database("sqlite://").session_scope() as session:
        assert session.execute(text("SELECT 42")).scalar_one() == 42
    try:
        _ = fastapi_patterns.AsyncDatabase("sqlite://").engine
    except fastapi_patterns.MissingExtraError as error:
        assert "pip install 'fastapi-patterns[async-db]'" in str(error), error
    else:
        raise AssertionError("AsyncDatabase came without its extra")


def standard() -> None:
    """With [standard]: the front door as the README shows it."""
    from fastapi import Depends, FastAPI
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

    from fastapi_patterns import (
        AsyncDatabase,
        Claims,
        Database,
        HttpClient,
        PasswordHasher,
        TaskQueue,
        TokenCodec,
        TokenConfig,
        install_stack,
        make_current_user,
    )
    from fastapi_patterns.security import Argon2Params

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        password_hash: Mapped[str]

    database = Database("sqlite://", metadata=Base.metadata)
    other = AsyncDatabase("sqlite://", metadata=Base.metadata)
    tokens = TokenCodec(TokenConfig.from_env())
    passwords = PasswordHasher(Argon2Params.FOR_TESTS_ONLY)

    def load_user(claims: Claims, session: Annotated[Session, Depends(database.session)]) -> User | None:
        return session.get(User, int(claims.sub))

    get_current_user = make_current_user(load_user, tokens=tokens, token_url="auth/login")
    app = FastAPI()
    install_stack(app, allow_origins=["https://app.example"], resources=[database, other, HttpClient(), TaskQueue()])

    @app.get("/me")
    def me(user: Annotated[User, Depends(get_current_user)]) -> dict[str, int]:
        return {"id": user.id}

    database.create_all()
    with database.session_scope() as session:
        session.add(User(id=1, password_hash=passwords.hash("correct horse")))
    header = (b"authorization", f"Bearer {tokens.encode({'sub': 1})}".encode())
    assert asyncio.run(call(app, "GET", "/me")) == (401, b'{"detail":"Not authenticated"}')
    database.create_all()  # closing the application closed its memory database
    with database.session_scope() as session:
        if session.get(User, 1) is None:
            session.add(User(id=1, password_hash=passwords.hash("correct horse")))
    assert asyncio.run(call(app, "GET", "/me", (header,))) == (200, b'{"id":1}')


{"bare": bare, "db": db, "standard": standard}[sys.argv[1]]()
print(f"smoke test {sys.argv[1]}: ok")
