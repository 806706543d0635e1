"""What real applications need of the current user, one test a need, each with the smallest application that has it."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import anyio
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Security, WebSocket
from fastapi.testclient import TestClient
from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlmodel import Field, SQLModel

from fastapi_patterns import (
    Claims,
    Database,
    InsecureLegacyTokens,
    Key,
    KeySet,
    PasswordHasher,
    ProblemRenderer,
    TokenCodec,
    TokenConfig,
    install_error_handlers,
    install_stack,
    make_current_user,
)
from fastapi_patterns.auth import (
    AuthCookies,
    BasicCredentials,
    CsrfProtection,
    Failure,
    Failures,
    LoginRules,
    LoginSessions,
    api_key_header,
    authorization_token,
    basic_credentials,
    bearer_token,
    cookie_token,
    make_auth_router,
    query_token,
)
from fastapi_patterns.auth.stores import SqlAlchemyTokenStore
from fastapi_patterns.security import Argon2Params

SECRET = "S3cr3t-of-the-tests-0123456789-abc"
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
TOKENS = TokenCodec(TokenConfig(secret_key=SECRET), now=lambda: NOW)


def serve(current: Any, **routes: Any) -> TestClient:
    """An application with `/me` and more routes, by the name of their path."""
    app = FastAPI()
    for name, dependency in {"me": current, **routes}.items():

        def route(user: Annotated[Any, Depends(dependency)]) -> Any:
            return user

        app.add_api_route(f"/{name}", route, methods=["GET", "POST"])
    return TestClient(app)


def bearer(token: str | None = None, **claims: Any) -> dict[str, str]:
    """Headers with a token."""
    return {"Authorization": f"Bearer {token or TOKENS.encode({'sub': 7, **claims})}"}


def load_claims(claims: Claims) -> dict[str, Any]:
    """A user that is what the token says."""
    return {"id": claims.sub}


class Base(DeclarativeBase):
    """The tables."""


class OrmUser(Base):
    """A user as an ORM object."""

    __tablename__ = "orm_users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class SqlModelUser(SQLModel, table=True):
    """A user as a SQLModel."""

    id: int | None = Field(default=None, primary_key=True)
    name: str


class PydanticUser(BaseModel):
    """A user as a pydantic model."""

    id: int
    name: str


async def _load_dict(claims: Claims) -> dict[str, Any]:
    return {"id": claims.int_sub, "name": "Ada"}


@pytest.mark.parametrize(
    "load",
    [
        lambda claims: OrmUser(id=claims.int_sub, name="Ada"),
        lambda claims: SqlModelUser(id=claims.int_sub, name="Ada"),
        lambda claims: PydanticUser(id=claims.int_sub, name="Ada"),
        _load_dict,
    ],
)
def test_01_the_loader_is_any_callable_and_the_user_any_object(load: Callable[..., Any]) -> None:
    """ORM objects, SQLModel, pydantic and dicts, from sync and async loaders."""
    current = make_current_user(load, tokens=TOKENS)
    app = FastAPI()

    @app.get("/me", response_model=PydanticUser)
    async def me(user: Annotated[Any, Depends(current)]) -> Any:
        return user if isinstance(user, dict) else {"id": user.id, "name": user.name}

    assert TestClient(app).get("/me", headers=bearer()).json() == {"id": 7, "name": "Ada"}


def test_02_the_loader_sees_claims_session_and_request() -> None:
    """A tenant on `request.state` decides where to look."""
    database = Database("sqlite://", metadata=Base.metadata)

    def load(claims: Claims, session: Annotated[Session, Depends(database.session)], request: Request) -> Any:
        user = session.get(OrmUser, claims.int_sub)
        return None if user is None else {"name": user.name, "tenant": request.state.tenant}

    app = FastAPI()
    install_stack(app, resources=[database])

    async def tenant(request: Request) -> None:
        request.state.tenant = "acme"

    @app.get("/me", dependencies=[Depends(tenant)])
    async def me(user: Annotated[Any, Depends(make_current_user(load, tokens=TOKENS))]) -> Any:
        return user

    with TestClient(app) as client:
        database.create_all()
        with database.session_scope() as session:
            session.add(OrmUser(id=7, name="Ada"))
        assert client.get("/me", headers=bearer()).json() == {"name": "Ada", "tenant": "acme"}


@pytest.mark.parametrize(
    ("names", "claims", "sub"),
    [
        (("sub",), {"sub": 7}, "7"),
        (("sub",), {"sub": UUID(int=7)}, str(UUID(int=7))),
        (("sub",), {"sub": "ada@shop.example"}, "ada@shop.example"),
        (("username",), {"username": "ada"}, "ada"),
        (("user_id", "email"), {"email": "ada@shop.example"}, "ada@shop.example"),
    ],
)
def test_03_the_subject_stands_where_the_application_says(
    names: tuple[str, ...], claims: dict[str, Any], sub: str
) -> None:
    """An int, a UUID, an address or a name, in `sub` or in the first of several claims."""
    tokens = TokenCodec(TokenConfig(secret_key=SECRET, subject_claims=names))
    client = serve(make_current_user(load_claims, tokens=tokens))
    assert client.get("/me", headers=bearer(tokens.encode(claims))).json() == {"id": sub}


class OwnClaims(BaseModel):
    """An application's own model of the claims."""

    sub: int
    role: str


def test_04_claims_go_through_the_applications_model() -> None:
    """Claims that do not fit are a bad token."""

    def load(claims: OwnClaims) -> dict[str, Any]:
        return {"id": claims.sub, "role": claims.role}

    client = serve(make_current_user(load, tokens=TOKENS))
    assert client.get("/me", headers=bearer(role="editor")).json() == {"id": 7, "role": "editor"}
    refused = client.get("/me", headers=bearer())
    assert (refused.status_code, refused.json()) == (401, {"detail": "Could not validate credentials"})


def test_05_each_reason_has_its_own_answer() -> None:
    """Status, detail and headers; a list as detail."""
    failures = Failures(
        missing=Failure(403, "Log in"),
        malformed=Failure(400, {"code": "bad_header"}),
        invalid=Failure(403, "Invalid"),
        expired=Failure(401, "Expired"),
        unknown_user=Failure(404, ["No such user"]),
        inactive_user=Failure(400, "Inactive"),
        insufficient_privilege=Failure(403, "Not yours"),
    )
    users = {"1": {"active": True}, "2": {"active": False}}
    current = make_current_user(
        lambda claims: users.get(claims.sub),
        tokens=TOKENS,
        failures=failures,
        is_active=lambda user: user["active"],
    )
    client = serve(current, admin=current.requiring(lambda _: False))
    late = TOKENS.encode({"sub": 1}, expires_delta=timedelta(0))
    seen = [
        client.get("/me"),
        client.get("/me", headers={"Authorization": "Bearer"}),
        client.get("/me", headers=bearer("nonsense")),
        client.get("/me", headers=bearer(late)),
        client.get("/me", headers=bearer(TOKENS.encode({"sub": 3}))),
        client.get("/me", headers=bearer(TOKENS.encode({"sub": 2}))),
        client.get("/admin", headers=bearer(TOKENS.encode({"sub": 1}))),
    ]
    assert [(answer.status_code, answer.json()["detail"]) for answer in seen] == [
        (403, "Log in"),
        (400, {"code": "bad_header"}),
        (403, "Invalid"),
        (401, "Expired"),
        (404, ["No such user"]),
        (400, "Inactive"),
        (403, "Not yours"),
    ]


def test_06_failures_carry_extra_headers_and_a_realm() -> None:
    """As clients of an older application expect them."""
    current = make_current_user(
        load_claims,
        tokens=TOKENS,
        realm="shop",
        failures=Failures(expired=Failure(401, "Expired", {"token-expired": "true"})),
    )
    answer = serve(current).get("/me", headers=bearer(TOKENS.encode({"sub": 1}, expires_delta=timedelta(0))))
    assert answer.headers["token-expired"] == "true"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="shop", error="invalid_token"'


def test_07_an_optional_user_does_not_swallow_other_errors() -> None:
    """No credential is None, a bad one 401 or None as the route says; an error of the server stays one."""

    def load(claims: Claims) -> dict[str, Any]:
        if claims.sub == "13":
            raise RuntimeError("the database is down")
        return {"id": claims.sub}

    current = make_current_user(load, tokens=TOKENS)
    client = serve(current, optional=current.optional, if_valid=current.if_valid)
    assert [client.get(path).json() for path in ("/optional", "/if_valid")] == [None, None]
    assert client.get("/optional", headers=bearer("bad")).status_code == 401
    assert client.get("/if_valid", headers=bearer("bad")).json() is None
    assert client.get("/if_valid", headers=bearer()).json() == {"id": "7"}
    for path in ("/optional", "/if_valid"):
        with pytest.raises(RuntimeError, match="database is down"):
            client.get(path, headers=bearer(TOKENS.encode({"sub": 13})))


def test_08_several_sources_are_tried_in_order() -> None:
    """Bearer, another word, a key, Basic, and a cookie as the last resort."""
    csrf = CsrfProtection(SECRET, allow_origins=["https://shop.example"])
    sources = [
        bearer_token("auth/login"),
        authorization_token("Token"),
        api_key_header("X-API-Key", lambda key: {"key": key} if key == "k1" else None),
        basic_credentials(lambda sent: {"name": sent.username} if sent.password == "pw" else None),
        cookie_token("access_token", csrf=csrf),
    ]
    client = serve(make_current_user(load_claims, tokens=TOKENS, sources=sources))
    token = TOKENS.encode({"sub": 7})
    basic = base64.b64encode(b"ada:pw").decode()
    assert client.get("/me", headers=bearer(token)).json() == {"id": "7"}
    assert client.get("/me", headers={"Authorization": f"Token {token}"}).json() == {"id": "7"}
    assert client.get("/me", headers={"X-API-Key": "k1"}).json() == {"key": "k1"}
    assert client.get("/me", headers={"X-API-Key": "k2"}).status_code == 401
    assert client.get("/me", headers={"Authorization": f"Basic {basic}"}).json() == {"name": "ada"}
    assert client.get("/me", headers={"Cookie": f"access_token={token}"}).json() == {"id": "7"}
    both = client.get("/me", headers={**bearer("bad"), "Cookie": f"access_token={token}"})
    assert both.status_code == 401  # a bad header never falls through to the cookie


def test_08_a_websocket_takes_its_token_from_the_query() -> None:
    """Where a browser can set no header; HTTP requests do not."""
    current = make_current_user(load_claims, tokens=TOKENS, sources=[bearer_token(), query_token("token")])
    client = serve(current)
    app = client.app

    @app.websocket("/socket")  # type: ignore[attr-defined,untyped-decorator]
    async def socket(websocket: WebSocket, user: Annotated[Any, Depends(current)]) -> None:
        await websocket.accept()
        await websocket.send_json(user)
        await websocket.close()

    token = TokenCodec(TokenConfig(secret_key=SECRET), now=lambda: NOW).encode({"sub": 7})
    with client.websocket_connect(f"/socket?token={token}") as opened:
        assert opened.receive_json() == {"id": "7"}
    assert client.get(f"/me?token={token}").status_code == 401


def test_09_openapi_shows_schemes_scopes_and_the_token_url() -> None:
    """Under a prefix too: a relative URL works from the page."""
    current = make_current_user(
        load_claims,
        tokens=TOKENS,
        sources=[
            bearer_token("auth/login", scopes={"items:read": "Read items"}),
            api_key_header("X-API-Key", load_claims),
        ],
    )
    router = APIRouter(prefix="/api")

    @router.get("/items")
    async def items(user: Annotated[Any, Security(current, scopes=["items:read"])]) -> Any:
        return user

    app = FastAPI()
    app.include_router(router)
    document = TestClient(app, root_path="/v1").get("/v1/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert schemes["BearerToken"]["flows"]["password"] == {
        "tokenUrl": "auth/login",
        "scopes": {"items:read": "Read items"},
    }
    assert schemes["X-API-Key header"] == {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    assert {"BearerToken": ["items:read"]} in document["paths"]["/api/items"]["get"]["security"]


def test_10_scopes_all_of_any_of_and_of_both_token_and_user() -> None:
    """What counts is what the token and the user both have."""
    users = {"1": ["read", "write"], "2": ["read"], "3": ["items:*"]}
    current = make_current_user(
        lambda claims: {"id": claims.sub},
        tokens=TOKENS,
        user_scopes=lambda user: users[user["id"]],
        wildcard_scopes=True,
    )
    app = FastAPI()

    @app.get("/all")
    async def all_of(user: Annotated[Any, Security(current, scopes=["read", "write"])]) -> Any:
        return user

    @app.get("/any")
    async def any_of(user: Annotated[Any, Depends(current.any_scope("write", "items:read"))]) -> Any:
        return user

    client = TestClient(app)

    def status(path: str, sub: int, scope: str) -> int:
        return client.get(path, headers=bearer(TOKENS.encode({"sub": sub, "scope": scope}))).status_code

    assert status("/all", 1, "read write") == 200
    assert status("/all", 1, "read") == 403  # the token lacks it
    assert status("/all", 2, "read write") == 403  # the user does
    assert status("/any", 1, "write") == 200
    assert status("/any", 2, "read") == 403
    assert status("/any", 3, "items:*") == 200
    refused = client.get("/all", headers=bearer(TOKENS.encode({"sub": 1})))
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="read write"'


def test_11_one_override_reaches_chained_checks() -> None:
    """Every variant sits on `base`."""
    current = make_current_user(load_claims, tokens=TOKENS)
    client = serve(
        current,
        admin=current.requiring(lambda user: user["is_admin"]),
        optional=current.optional,
        fresh=current.fresh(timedelta(minutes=5)),
        any=current.any_scope("write"),
    )
    client.app.dependency_overrides[current.base] = lambda: {"is_admin": True}  # type: ignore[attr-defined]
    for path in ("/me", "/admin", "/optional", "/fresh", "/any"):
        assert client.get(path).json() == {"is_admin": True}
    client.app.dependency_overrides[current.base] = lambda: {"is_admin": False}  # type: ignore[attr-defined]
    assert client.get("/admin").status_code == 403


@pytest.mark.parametrize("settings", [{}, {"kind_claim": "type"}, {"kind_claim": "token_type"}])
def test_12_a_token_of_another_kind_logs_nobody_in(settings: dict[str, Any]) -> None:
    """Told apart by the header, or by a claim of the application's choice."""
    tokens = TokenCodec(TokenConfig(secret_key=SECRET, **settings))
    client = serve(make_current_user(load_claims, tokens=tokens))
    assert client.get("/me", headers=bearer(tokens.encode({"sub": 7}))).status_code == 200
    assert client.get("/me", headers=bearer(tokens.encode({"sub": 7}, kind="refresh"))).status_code == 401


def test_13_issuer_audience_leeway_and_keys_by_kid() -> None:
    """Tokens of the old and the new key of the configured issuer, and of nobody else."""
    old, new = Key.generate("ES256", kid="old"), Key.generate("EdDSA", kid="new")
    settings: dict[str, Any] = {"issuer": "https://a.example", "audience": "shop", "leeway": timedelta(seconds=10)}
    reader = TokenCodec(TokenConfig(keys=KeySet.from_jwks(KeySet([old, new]).public_jwks()), **settings))
    client = serve(make_current_user(load_claims, tokens=reader))
    for key in (old, new):
        token = TokenCodec(TokenConfig(keys=key, **settings)).encode({"sub": 7})
        assert client.get("/me", headers=bearer(token)).status_code == 200
    for change in ({"issuer": "https://b.example"}, {"audience": "other"}):
        token = TokenCodec(TokenConfig(keys=new, **{**settings, **change})).encode({"sub": 7})
        assert client.get("/me", headers=bearer(token)).status_code == 401
    other = TokenCodec(TokenConfig(keys=Key.generate("EdDSA", kid="new"), **settings)).encode({"sub": 7})
    assert client.get("/me", headers=bearer(other)).status_code == 401


@pytest.mark.parametrize("in_cookies", [False, True])
def test_14_refresh_tokens_in_the_body_or_in_a_cookie(in_cookies: bool, tmp_path: Path) -> None:
    """Kept in the database, rotated at each use; the second use of one ends the session."""
    database = Database(f"sqlite:///{tmp_path}/sessions.db")
    store = SqlAlchemyTokenStore(database)
    sessions = LoginSessions(store, tokens=TOKENS, now=lambda: NOW)
    passwords = PasswordHasher(Argon2Params.FOR_TESTS_ONLY)
    user = OrmUser(id=7, name="ada")
    stored = passwords.hash("pw")
    cookies = AuthCookies(csrf=CsrfProtection(SECRET, allow_origins=["https://shop.example"]))
    app = FastAPI()
    install_stack(app, resources=[database])
    app.include_router(
        make_auth_router(
            sessions,
            find_user={"ada": user}.get,
            load_user={"7": user}.get,
            rules=LoginRules[OrmUser](passwords=passwords, password_hash=lambda _: stored),
            current_user=make_current_user(load_claims, tokens=TOKENS),
            cookies=cookies if in_cookies else None,
        )
    )
    headers = {"Origin": "https://shop.example"}
    with TestClient(app, base_url="https://shop.example", headers=headers) as client:
        anyio.run(store.create_all)
        first = client.post("/auth/login", json={"username": "ada", "password": "pw"})
        assert first.status_code == 200
        name = "__Secure-session_refresh"
        token = client.cookies[name] if in_cookies else first.json()["refresh_token"]
        assert client.post("/auth/refresh", json={"refresh_token": token}).status_code == 200
        assert client.post("/auth/refresh", json={"refresh_token": token}).status_code == 401


@pytest.mark.parametrize("asynchronous", [True, False])
def test_15_a_revocation_hook_is_asked_on_each_request(asynchronous: bool) -> None:
    """Sync or async; anything but False is yes, and what it raises is an error of the server."""
    answers: list[Any] = [False, True, None, OSError("the store is down")]
    served = []

    def ask(_claims: Claims) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask_async(claims: Claims) -> Any:
        return ask(claims)

    def load(claims: Claims) -> str:
        served.append(claims.sub)
        return claims.sub

    client = serve(make_current_user(load, tokens=TOKENS, revoked=ask_async if asynchronous else ask))
    assert [client.get("/me", headers=bearer()).status_code for _ in range(3)] == [200, 401, 401]
    with pytest.raises(OSError, match="store is down"):
        client.get("/me", headers=bearer())
    assert served == ["7"]


def test_22_the_application_renders_the_failures() -> None:
    """The body goes through its renderer, and the document shows it."""
    app = FastAPI()
    install_error_handlers(app, renderer=ProblemRenderer())
    current = make_current_user(load_claims, tokens=TOKENS)

    @app.get("/me")
    async def me(user: Annotated[Any, Depends(current)]) -> Any:
        return user

    answer = TestClient(app).get("/me")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["detail"]) == (401, "Not authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_28_settings_may_change_between_calls() -> None:
    """A secret that is a function counts at once."""
    secret = [SECRET]
    tokens = TokenCodec(TokenConfig(secret_key=lambda: secret[0]))
    client = serve(make_current_user(load_claims, tokens=tokens))
    token = tokens.encode({"sub": 7})
    assert client.get("/me", headers=bearer(token)).status_code == 200
    secret[0] = "An0ther-secret-of-the-tests-9876543210"
    assert client.get("/me", headers=bearer(token)).status_code == 401


def test_29_frozen_time_reaches_token_checks() -> None:
    """The codec's clock is the only one."""
    clock = [NOW]
    tokens = TokenCodec(TokenConfig(secret_key=SECRET), now=lambda: clock[0])
    client = serve(make_current_user(load_claims, tokens=tokens))
    token = tokens.encode({"sub": 7})
    assert client.get("/me", headers=bearer(token)).status_code == 200
    clock[0] += timedelta(minutes=15)
    assert client.get("/me", headers=bearer(token)).status_code == 401


def test_tokens_of_older_code_log_in() -> None:
    """Nobody is logged out by the move."""
    from jose import jwt

    old = InsecureLegacyTokens(
        secret="short", accept_until=NOW + timedelta(days=30), is_access=lambda _: True, short_secret=True
    )
    tokens = TokenCodec(TokenConfig(secret_key=SECRET), also_accept=old, now=lambda: NOW)
    client = serve(make_current_user(load_claims, tokens=tokens))
    token = jwt.encode({"sub": "7", "exp": NOW + timedelta(hours=1)}, "short", "HS256")
    assert client.get("/me", headers=bearer(token)).json() == {"id": "7"}


def test_basic_credentials_hide_the_password() -> None:
    """From a repr, which ends in logs."""
    assert repr(BasicCredentials("ada", "pw")) == "BasicCredentials(username='ada')"
