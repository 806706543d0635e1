"""The public API as an application uses it: what type checkers must infer, and what they must refuse."""

import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, assert_type

import httpx2
from fastapi import Depends, FastAPI, Request
from passlib.context import CryptContext
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from fastapi_patterns import (
    AppException,
    AsyncDatabase,
    Claims,
    Database,
    ErrorInfo,
    ExpiredClaims,
    HttpClient,
    Key,
    KeySet,
    OneTimeTokens,
    PasswordHasher,
    PendingTasks,
    TaskQueue,
    TokenCodec,
    TokenConfig,
    configure_logging,
    create_access_token,
    decode_token,
    explain,
    hash_password,
    install_cors,
    install_error_handlers,
    install_stack,
    make_current_user,
    verify_password,
)
from fastapi_patterns.auth import CurrentUserDependency, JWKSKeys
from fastapi_patterns.security import Argon2Params, BcryptParams, GuardedHasher, Hasher, PasswordPolicy, TokensByIssuer


class Account(BaseModel):
    """An application's own claims."""

    sub: int


class User:
    """An application's user."""

    id: int
    is_admin: bool


database = Database("sqlite://")
async_database = AsyncDatabase("sqlite://")
tasks = TaskQueue()
upstream = HttpClient("https://api.example")
HttpClient("https://api.example", name="api", deadline_s=3, retries=0, trusted_hosts={"api.example"}, auth=("a", "b"))
UpstreamDep = Annotated[httpx2.AsyncClient, Depends(upstream.client)]
HttpClient(client=httpx2.AsyncClient(), max_response_bytes=2**20)
resets = OneTimeTokens("x", purpose="reset", expires_delta=timedelta(hours=1))
tokens = TokenCodec(TokenConfig(secret_key="x", expires_delta=timedelta(minutes=5)))

SessionDep = Annotated[Session, Depends(database.session)]
AsyncSessionDep = Annotated[AsyncSession, Depends(async_database.session)]
TasksDep = Annotated[PendingTasks, Depends(tasks.pending)]


def load_user(claims: Claims, session: SessionDep) -> User | None:
    """Load, sync."""
    return session.get(User, int(claims.sub))


async def load_user_async(claims: Claims, session: AsyncSessionDep, request: Request) -> User | None:
    """Load, async."""
    return await session.get(User, claims.int_sub)


def load_dict(claims: Claims) -> dict[str, str]:
    """Load something that is never None."""
    return {"id": claims.sub}


sync_user = make_current_user(load_user, tokens=tokens, token_url="login")
async_user = make_current_user(load_user_async, tokens=tokens, token_url="login", scopes={"read": "Read"})
dict_user = make_current_user(load_dict, tokens=tokens, token_url="login")

assert_type(sync_user, CurrentUserDependency[User])
assert_type(async_user, CurrentUserDependency[User])
assert_type(dict_user, CurrentUserDependency[dict[str, str]])
assert_type(sync_user.optional, Callable[..., Awaitable[User | None]])
assert_type(sync_user.requiring(lambda user: user.is_admin), Callable[..., Awaitable[User]])


async def may_edit(user: User) -> bool:
    """An async check."""
    return user.is_admin


assert_type(async_user.requiring(may_edit, lambda user: user.id == 1), Callable[..., Awaitable[User]])

assert_type(tokens.encode({"sub": 1}), str)
assert_type(tokens.decode("x"), Claims)
assert_type(tokens.decode("x", model=Account), Account)
assert_type(tokens.decode("x", kind="refresh"), Claims)
assert_type(tokens.decode_expired("x", max_age=timedelta(days=1)), ExpiredClaims)
assert_type(KeySet([Key.generate("ES256")]).verify("x"), bytes)
assert_type(resets.verify(resets.issue(7, state=("ada", False, None)), state=b"x").int_sub, int)
theirs = JWKSKeys("https://id.example/keys", issuer="https://id.example", audience=["api"], algorithms=["ES256"])
assert_type(theirs.decode("x"), Claims)
assert_type(
    make_current_user(load_user, tokens=TokensByIssuer([theirs]), token_url="login"), CurrentUserDependency[User]
)
TokenConfig(keys=KeySet.from_env, issuer=lambda: "https://issuer.example", audience=["api", "web"])
TokenConfig(secret_key=lambda: 7)  # type: ignore[arg-type,return-value]  # pyright: ignore[reportArgumentType]
make_current_user(load_dict, tokens=resets, token_url="login")  # type: ignore[call-overload]  # pyright: ignore
assert_type(create_access_token({"sub": 1}, expires_delta=timedelta(minutes=1)), str)
assert_type(decode_token("x").sub, str)
assert_type(hash_password("x"), str)
assert_type(verify_password("x", None), bool)
assert_type(PasswordHasher().verify_and_update("x", "y"), tuple[bool, str | None])
PasswordHasher(BcryptParams(scheme="bcrypt", rounds=12))
PasswordHasher(BcryptParams(scheme="md5"))  # type: ignore[arg-type]
existing: list[Hasher] = [PasswordHasher(Argon2Params.OWASP), CryptContext(["argon2"])]
assert_type([GuardedHasher(each).verify("x", None) for each in existing], list[bool])
PasswordPolicy(blocklist={"x"}, is_breached=lambda password: password == "x").check("x", words=["x", None])


async def hash_in_threads() -> None:
    """Coroutines have the types of their functions."""
    assert_type(await PasswordHasher().ahash("x"), str)
    assert_type(await PasswordHasher().averify("x", b"y"), bool)
    assert_type(await PasswordHasher().averify_and_update("x", None), tuple[bool, str | None])


def send_email(address: str, *, subject: str) -> None:
    """A task."""


@tasks.task(max_attempts=5, timeout_s=60)
async def make_report(number: int) -> str:
    """A task with rules of its own, which is still the function that it was."""
    return str(number)


async def leave_work_typed() -> None:
    """So are those of a task, which is left by name."""
    assert_type(await make_report(7), str)
    assert_type(make_report.enqueue(7), None)
    make_report.enqueue("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def leave_work(pending: TasksDep) -> None:
    """Arguments of a task are checked against its function."""
    pending.add_task(send_email, "ada@example.com", subject="Welcome")
    pending.add_task(send_email, 7, subject="Welcome")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pending.add_task(send_email, "ada@example.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def scopes() -> None:
    """Sessions of one's own have the session's type."""
    with database.session_scope() as session:
        assert_type(session, Session)


async def async_scopes() -> None:
    """And async ones theirs."""
    async with async_database.session_scope() as session:
        assert_type(session, AsyncSession)


app = FastAPI()
install_stack(
    app,
    allow_origins=["https://app.example"],
    resources=[database, async_database, upstream, tasks],
    exception_map={TimeoutError: (504, "Too slow"), LookupError: ErrorInfo(status=404, detail="No such thing")},
)
install_cors(app, allow_origins=["https://app.example"], allow_credentials=True)
install_cors(app, allow_origin_regex=r"https://pr-\d+\.app\.example", max_age_s=60)
install_cors(app, allow_origin_regex=["x"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
explain(app)
explain(app, sys.stderr)
explain(app, file="stack.txt")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
install_error_handlers(app, exception_map={ValueError: lambda error: None})
configure_logging("json", level="INFO")
configure_logging("xml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def fail() -> None:
    """An error of the application's own."""
    raise AppException(409, "taken", code="email_taken", headers={"Retry-After": "1"}, extra={"at": 1})
