"""The current user: every kind of loader, every answer, one override for all, and nothing that leaks."""

import asyncio
import functools
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Request, Security, WebSocket
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.websockets import WebSocketDisconnect

from fastapi_patterns import Claims, ConfigurationError, TokenCodec, TokenConfig, make_current_user
from tests.auth import deferred_annotations

TOKENS = TokenCodec(TokenConfig(secret_key="S3cr3t-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz"))


class Person(BaseModel):
    """A user as a pydantic model."""

    id: str


def bearer(sub: object = 7, **claims: Any) -> dict[str, str]:
    """Headers of somebody who is logged in."""
    return {"Authorization": f"Bearer {TOKENS.encode({'sub': sub, **claims})}"}


def me_app(load_user: Callable[..., Any]) -> TestClient:
    """An application with one protected route that shows the loaded user."""
    get_current_user = make_current_user(load_user, tokens=TOKENS, token_url="auth/login")
    app = FastAPI()

    @app.get("/me")
    async def me(user: Annotated[Any, Depends(get_current_user)]) -> Any:
        return user

    return TestClient(app)


def load_dict(claims: Claims) -> dict[str, str]:
    """The plainest loader."""
    return {"id": claims.sub}


async def load_async(claims: Claims) -> dict[str, str]:
    """The same, async."""
    return {"id": claims.sub}


def load_with_prefix(prefix: str, claims: Claims) -> dict[str, str]:
    """A loader whose first parameter a partial fills."""
    return {"id": prefix + claims.sub}


def load_with_option(claims: Claims, *, prefix: str = "") -> dict[str, str]:
    """A loader with a keyword that a partial fills."""
    return {"id": prefix + claims.sub}


async def load_async_with_option(claims: Claims, *, prefix: str = "") -> dict[str, str]:
    """The same, async."""
    return {"id": prefix + claims.sub}


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator as people write them."""

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


class Loader:
    """A loader with state."""

    def __call__(self, claims: Claims) -> dict[str, str]:
        """Load."""
        return {"id": claims.sub}

    def method(self, claims: Claims) -> dict[str, str]:
        """Load, as a bound method."""
        return {"id": claims.sub}

    @staticmethod
    def static(claims: Claims) -> dict[str, str]:
        """Load, as a static method."""
        return {"id": claims.sub}


class AsyncLoader:
    """A loader with state whose call is async."""

    async def __call__(self, claims: Claims) -> dict[str, str]:
        """Load."""
        return {"id": claims.sub}


@pytest.mark.parametrize(
    ("load_user", "expected"),
    [
        (load_dict, {"id": "7"}),
        (load_async, {"id": "7"}),
        (functools.partial(load_with_prefix, "a"), {"id": "a7"}),
        (functools.partial(load_with_option, prefix="b"), {"id": "b7"}),
        (functools.partial(load_async_with_option, prefix="c"), {"id": "c7"}),
        (traced(load_dict), {"id": "7"}),
        (Loader(), {"id": "7"}),
        (Loader().method, {"id": "7"}),
        (Loader.static, {"id": "7"}),
        (AsyncLoader(), {"id": "7"}),
        (lambda claims: Person(id=claims.sub), {"id": "7"}),
        (lambda claims, /: {"id": claims.sub}, {"id": "7"}),
        (lambda claims: {}, {}),
    ],
)
def test_every_kind_of_loader(load_user: Callable[..., Any], expected: dict[str, str]) -> None:
    """Functions, partials, methods and objects, sync and async; an empty user is still a user."""
    answer = me_app(load_user).get("/me", headers=bearer(), params={"prefix": "injected", "claims": "x"})
    assert answer.status_code == 200
    assert answer.json() == expected


def test_a_loader_has_ordinary_dependencies() -> None:
    """Beside the claims a loader takes what any dependency can: the request, headers, a session."""

    def session() -> Iterator[str]:
        yield "session"

    def load_user(
        claims: Claims,
        opened: Annotated[str, Depends(session)],
        request: Request,
        x_tenant: Annotated[str, Header()],
    ) -> list[str]:
        return [claims.sub, opened, request.url.path, x_tenant]

    answer = me_app(load_user).get("/me", headers={**bearer(), "X-Tenant": "acme"})
    assert answer.json() == ["7", "session", "/me", "acme"]


def test_deferred_annotations_are_resolved_where_they_stand() -> None:
    """A loader of a module with `from __future__ import annotations`; its return type need not exist."""
    answer = me_app(deferred_annotations.load).get("/me", headers={**bearer(), "X-Tenant": "acme"})
    assert answer.json() == {"id": "7", "tenant": "acme", "path": "/me"}


def _generator(claims: Claims) -> Iterator[str]:
    yield claims.sub


@pytest.mark.parametrize(
    ("load_user", "problem"),
    [
        ("not callable", "load_user must be a callable; got str"),
        (lambda: None, "must take the claims as its first parameter"),
        (lambda *, claims: None, "must take the claims as its first parameter"),
        (lambda *claims: None, "must take the claims as its first parameter"),
        (lambda claims, *rest: None, "cannot fill the parameter"),
        (lambda claims, **rest: None, "cannot fill the parameter"),
        (lambda claims, other, /: None, "cannot fill the parameter"),
        (_generator, "must return the user, not yield it"),
        (deferred_annotations.load_unresolvable, "names 'Person', which does not exist at run time"),
    ],
)
def test_a_loader_that_cannot_work_is_refused_at_start(load_user: Any, problem: str) -> None:
    """The message says what the loader must be, when the factory is called."""
    with pytest.raises(ConfigurationError, match=problem):
        make_current_user(load_user, tokens=TOKENS, token_url="auth/login")


@pytest.mark.parametrize(
    ("tokens", "got"),
    [
        (TOKENS.config, "an instance of TokenConfig"),
        (TokenCodec, "TokenCodec"),
        ("a secret", "an instance of str"),
        (b"a secret", "an instance of bytes"),
        (None, "an instance of NoneType"),
    ],
)
def test_what_cannot_decode_is_refused_at_start_up(tokens: Any, got: str) -> None:
    """A config, a class or a secret in place of the codec is an error at once, not at the first request."""
    with pytest.raises(ConfigurationError, match=f"tokens must be a codec.*got {got}$") as caught:
        make_current_user(load_dict, tokens=tokens, token_url="auth/login")
    assert "secret" not in str(caught.value)


def test_another_object_may_decode() -> None:
    """A codec of the application's own is one with the same `decode`."""

    class Codec:
        def decode(self, token: str) -> Claims:
            return TOKENS.decode(token)

    get_current_user = make_current_user(load_dict, tokens=Codec(), token_url="auth/login")  # type: ignore[arg-type]
    app = FastAPI()

    @app.get("/me")
    async def me(user: Annotated[Any, Depends(get_current_user)]) -> Any:
        return user

    assert TestClient(app).get("/me", headers=bearer()).json() == {"id": "7"}


@pytest.mark.parametrize("checks", [(), ("not callable",), (len, None)])
def test_requiring_nothing_is_refused(checks: tuple[Any, ...]) -> None:
    """A check that checks nothing would let everybody in."""
    with pytest.raises(ConfigurationError, match="at least one function of the user"):
        make_current_user(load_dict, tokens=TOKENS, token_url="auth/login").requiring(*checks)


class Shop:
    """An application with every variant over one loader, and a count of what ran."""

    def __init__(self) -> None:
        self.loaded = 0
        self.served = 0
        self.get_current_user = current = make_current_user(
            self.load_user, tokens=TOKENS, token_url="auth/login", scopes={"read": "Read", "write": "Write"}
        )
        self.app = app = FastAPI()

        async def slow_check(user: Any) -> bool:
            await asyncio.sleep(0)
            return bool(user["id"] == "1")

        @app.get("/me")
        def me(user: Annotated[Any, Depends(current)], request: Request) -> Any:
            self.served += 1
            return {**user, "state": request.state.user_id}

        @app.get("/optional")
        def optional(user: Annotated[Any, Depends(current.optional)]) -> Any:
            self.served += 1
            return user

        @app.get("/admin")
        def admin(user: Annotated[Any, Depends(current.requiring(lambda user: user["id"] == "1"))]) -> Any:
            self.served += 1
            return user

        @app.get("/async-admin")
        def async_admin(user: Annotated[Any, Depends(current.requiring(lambda user: True, slow_check))]) -> Any:
            self.served += 1
            return user

        @app.get("/truthy")
        def truthy(user: Annotated[Any, Depends(current.requiring(lambda user: "yes"))]) -> Any:  # type: ignore[arg-type, return-value]
            self.served += 1
            return user

        @app.get("/write")
        def write(user: Annotated[Any, Security(current, scopes=["read", "write"])]) -> Any:
            self.served += 1
            return user

        @app.get("/all")
        def everything(
            one: Annotated[Any, Depends(current)],
            two: Annotated[Any, Depends(current.optional)],
            three: Annotated[Any, Depends(current.requiring(lambda user: True))],
            four: Annotated[Any, Security(current, scopes=["read"])],
        ) -> Any:
            self.served += 1
            return one is two is three is four

        @app.websocket("/socket")
        async def socket(websocket: WebSocket, user: Annotated[Any, Depends(current)]) -> None:
            await websocket.accept()
            await websocket.send_json(user)
            await websocket.close()

        self.client = TestClient(app)

    def load_user(self, claims: Claims) -> dict[str, str] | None:
        """Find a user; 404 is nobody, and the database of 500 is down."""
        self.loaded += 1
        if claims.sub == "500":
            raise RuntimeError("the database is down")
        return None if claims.sub == "404" else {"id": claims.sub}


@pytest.fixture
def shop() -> Shop:
    """A fresh application."""
    return Shop()


def test_the_user_comes_with_the_token(shop: Shop) -> None:
    """A good token gives the route its user, and the log the user's id."""
    answer = shop.client.get("/me", headers=bearer(7))
    assert answer.status_code == 200
    assert answer.json() == {"id": "7", "state": "7"}


def test_without_a_credential_there_is_a_plain_challenge(shop: Shop) -> None:
    """401 with `WWW-Authenticate: Bearer` and no error code (RFC 6750 section 3.1)."""
    answer = shop.client.get("/me")
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Not authenticated"}
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert shop.loaded == shop.served == 0


EXPIRED = TOKENS.encode({"sub": 7}, expires_delta=timedelta(seconds=-1))
FOREIGN = TokenCodec(TokenConfig(secret_key="another-secret-of-another-application-0123456789")).encode({"sub": 7})
BAD_HEADERS = [
    [("Authorization", f"Bearer {EXPIRED}")],
    [("Authorization", f"Bearer {FOREIGN}")],
    [("Authorization", "Bearer nonsense")],
    [("Authorization", "Bearer")],
    [("Authorization", "Bearer ")],
    [("Authorization", "Bearer  x")],
    [("Authorization", "Bearer x y")],
    [("Authorization", "Bearer x\ty")],
    [("Authorization", b"Bearer \xe9")],
    [("Authorization", f"Bearer {TOKENS.encode({'sub': 7})}"), ("Authorization", "Bearer x")],
    [("Authorization", f"Bearer {TOKENS.encode({'sub': 404})}")],
]


@pytest.mark.parametrize("path", ["/me", "/optional", "/admin", "/write"])
@pytest.mark.parametrize("headers", BAD_HEADERS, ids=lambda headers: repr(headers[0][1])[:20])
def test_every_bad_credential_reads_the_same(
    path: str, headers: list[tuple[str, Any]], shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """One text and one challenge for all of them; the reason is in the log, the token is not."""
    with caplog.at_level(logging.DEBUG):
        answer = shop.client.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Could not validate credentials"}
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert shop.served == 0
    reasons = [record.getMessage() for record in caplog.records if record.name == "fastapi_patterns.auth"]
    assert len(reasons) == 1
    assert reasons[0].startswith("auth.failure reason=")
    for secret in (EXPIRED, FOREIGN):
        assert secret not in caplog.text


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_scheme_has_no_case(scheme: str, shop: Shop) -> None:
    """`Bearer` is compared without regard to case (RFC 9110 section 11.1)."""
    token = TOKENS.encode({"sub": 7})
    assert shop.client.get("/me", headers={"Authorization": f"{scheme} {token}"}).status_code == 200


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Token abc", "Bearertoken", ""])
def test_another_scheme_is_no_credential_of_ours(value: str, shop: Shop) -> None:
    """What is not for us is not there: nobody is logged in, and nothing is wrong."""
    assert shop.client.get("/me", headers={"Authorization": value}).json() == {"detail": "Not authenticated"}
    assert shop.client.get("/optional", headers={"Authorization": value}).json() is None


def test_optional_is_none_without_a_credential(shop: Shop) -> None:
    """Everybody gets in; the user is there for those who are logged in."""
    assert shop.client.get("/optional").json() is None
    assert shop.client.get("/optional", headers=bearer()).json() == {"id": "7"}


def load_number(claims: Claims) -> dict[str, int]:
    """A loader whose users have numbers."""
    return {"id": claims.int_sub}


async def load_number_async(claims: Claims) -> dict[str, int]:
    """The same, async."""
    return {"id": claims.int_sub}


@pytest.mark.parametrize("load_user", [load_number, load_number_async])
@pytest.mark.parametrize("subject", ["abc", "1" * 23, str(2**63)])
def test_a_subject_of_another_kind_is_a_bad_token(
    subject: str, load_user: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A signed token whose subject is no id reads like every bad token: a 401, and the reason only in the log."""
    client = me_app(load_user)
    assert client.get("/me", headers=bearer(7)).json() == {"id": 7}
    with caplog.at_level(logging.INFO, "fastapi_patterns.auth"):
        answer = client.get("/me", headers=bearer(subject))
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Could not validate credentials"}
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert [record.reason for record in caplog.records] == [  # type: ignore[attr-defined]
        "invalid: claim 'sub' is not an integer of 64 bits"
    ]


def test_another_error_of_the_loader_stays_one() -> None:
    """A ValueError may be a mistake of the loader's own, and is not hidden behind a 401."""

    def load_user(claims: Claims) -> dict[str, int]:
        return {"id": int(claims.sub)}

    with pytest.raises(ValueError, match="invalid literal"):
        me_app(load_user).get("/me", headers=bearer("abc"))


@pytest.mark.parametrize("path", ["/me", "/optional"])
def test_a_failing_loader_is_not_taken_for_nobody(path: str, shop: Shop) -> None:
    """A database that is down stays an error, and the route does not run."""
    with pytest.raises(RuntimeError, match="the database is down"):
        shop.client.get(path, headers=bearer(500))
    assert shop.served == 0


@pytest.mark.parametrize("path", ["/admin", "/async-admin"])
def test_only_who_passes_the_check_gets_in(path: str, shop: Shop) -> None:
    """Sync and async checks: 200 for who passes, 403 for others, 401 for nobody."""
    assert shop.client.get(path, headers=bearer(1)).json() == {"id": "1"}
    answer = shop.client.get(path, headers=bearer(7))
    assert answer.status_code == 403
    assert answer.json() == {"detail": "Not enough permissions"}
    assert shop.client.get(path).status_code == 401
    assert shop.served == 1


def test_a_truthy_answer_is_not_true(shop: Shop) -> None:
    """A check that returns something else than True denies."""
    assert shop.client.get("/truthy", headers=bearer(1)).status_code == 403


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"scope": "read write"}, 200),
        ({"scopes": ["write", "read", "more"]}, 200),
        ({"scope": "read"}, 403),
        ({"scope": "readwrite"}, 403),
        ({}, 403),
    ],
)
def test_scopes_of_the_route_must_be_in_the_token(claims: dict[str, Any], status: int, shop: Shop) -> None:
    """`Security(..., scopes=[...])`: all of them, or 403 with the scopes that it takes (RFC 6750 section 3.1)."""
    answer = shop.client.get("/write", headers=bearer(7, **claims))
    assert answer.status_code == status
    if status == 403:
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="read write"'
        assert shop.served == 0


def test_the_user_is_loaded_once_a_request(shop: Shop) -> None:
    """However many variants a route uses, with scopes and without, it is one user and one load."""
    answer = shop.client.get("/all", headers=bearer(7, scope="read"))
    assert answer.json() is True
    assert shop.loaded == 1
    shop.client.get("/all", headers=bearer(7, scope="read"))
    assert shop.loaded == 2


@pytest.mark.parametrize("path", ["/optional", "/admin", "/async-admin", "/write", "/all"])
def test_one_override_reaches_every_variant(path: str, shop: Shop) -> None:
    """In tests, overriding `base` logs a user in everywhere, with every scope; checks still run."""
    shop.app.dependency_overrides[shop.get_current_user.base] = lambda: {"id": "1"}
    assert shop.client.get(path).status_code == 200
    assert shop.loaded == 0
    shop.app.dependency_overrides[shop.get_current_user.base] = lambda: {"id": "2"}
    assert shop.client.get("/admin").status_code == 403


def test_an_override_of_the_dependency_itself_works_too(shop: Shop) -> None:
    """The usual `app.dependency_overrides[get_current_user]` reaches `.requiring` as well."""
    shop.app.dependency_overrides[shop.get_current_user] = lambda: {"id": "1"}
    assert shop.client.get("/admin").json() == {"id": "1"}


def test_a_bad_token_opens_no_session() -> None:
    """The claims are checked before the loader's dependencies are solved."""
    opened = []

    async def session() -> str:
        opened.append(1)
        return "session"

    def load_user(claims: Claims, session: Annotated[str, Depends(session)]) -> dict[str, str]:
        return {"id": claims.sub}

    client = me_app(load_user)
    assert client.get("/me", headers={"Authorization": "Bearer nonsense"}).status_code == 401
    assert opened == []
    assert client.get("/me", headers=bearer()).status_code == 200
    assert opened == [1]


def test_websockets(shop: Shop) -> None:
    """The same dependency guards a websocket: accepted with a token, closed before accept without."""
    with shop.client.websocket_connect("/socket", headers=bearer(7)) as socket:
        assert socket.receive_json() == {"id": "7"}
    with pytest.raises(Exception) as caught, shop.client.websocket_connect("/socket"):
        pass
    # Older Starlettes close the socket, newer ones answer with the 401: either way it was never accepted.
    assert isinstance(caught.value, WebSocketDisconnect) or type(caught.value).__name__ == "WebSocketDenialResponse"


def test_openapi_shows_the_password_flow_and_the_scopes(shop: Shop) -> None:
    """The docs page's Authorize button finds the login route, and routes show what they need."""
    document = shop.client.get("/openapi.json").json()
    (scheme,) = document["components"]["securitySchemes"].values()
    assert scheme["type"] == "oauth2"
    assert scheme["flows"]["password"] == {"tokenUrl": "auth/login", "scopes": {"read": "Read", "write": "Write"}}
    (name,) = document["components"]["securitySchemes"]
    assert document["paths"]["/me"]["get"]["security"] == [{name: []}]
    assert document["paths"]["/write"]["get"]["security"] == [{name: ["read", "write"]}]


def test_under_a_prefix_and_a_root_path() -> None:
    """Routes in an included router of an app behind a proxy are guarded the same."""
    get_current_user = make_current_user(load_dict, tokens=TOKENS, token_url="auth/login")
    router = APIRouter(prefix="/v1", dependencies=[Depends(get_current_user)])

    @router.get("/thing")
    def thing() -> str:
        return "thing"

    app = FastAPI()
    app.include_router(router, prefix="/inner")
    client = TestClient(app, root_path="/api")
    assert client.get("/inner/v1/thing").status_code == 401
    assert client.get("/inner/v1/thing", headers=bearer()).json() == "thing"


def test_concurrent_requests_have_their_own_users() -> None:
    """50 requests at a time: each route sees the user of its own token."""
    httpx2 = pytest.importorskip("httpx2")

    async def load_user(claims: Claims) -> dict[str, str]:
        await asyncio.sleep(0)
        return {"id": claims.sub}

    app = me_app(load_user).app

    async def ask_all() -> list[dict[str, str]]:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            answers = await asyncio.gather(*(client.get("/me", headers=bearer(number)) for number in range(50)))
        return [answer.json() for answer in answers]

    assert asyncio.run(ask_all()) == [{"id": str(number)} for number in range(50)]


def test_the_clock_of_the_codec_decides() -> None:
    """Frozen time in a test reaches the check of the token."""
    now = [datetime(2030, 1, 1, tzinfo=UTC)]
    tokens = TokenCodec(TOKENS.config, now=lambda: now[0])
    get_current_user = make_current_user(load_dict, tokens=tokens, token_url="auth/login")
    app = FastAPI(dependencies=[Depends(get_current_user)])

    @app.get("/")
    def root() -> str:
        return "in"

    client, headers = TestClient(app), {"Authorization": f"Bearer {tokens.encode({'sub': 1})}"}
    assert client.get("/", headers=headers).status_code == 200
    now[0] += timedelta(minutes=15)
    assert client.get("/", headers=headers).status_code == 401


def test_a_secret_that_cannot_be_had_fails_closed() -> None:
    """A function that gives a weak secret is a 503, and the loader never runs."""
    secret = ["S3cr3t-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz"]
    tokens = TokenCodec(TokenConfig(secret_key=lambda: secret[0]))
    loaded = []

    def load(claims: Claims) -> str:
        loaded.append(claims)
        return claims.sub

    get_current_user = make_current_user(load, tokens=tokens, token_url="login")
    app = FastAPI()

    @app.get("/me")
    async def me(user: Annotated[str, Depends(get_current_user)]) -> str:
        return user

    headers = {"Authorization": f"Bearer {tokens.encode({'sub': 7})}"}
    secret[0] = "weak"
    answer = TestClient(app).get("/me", headers=headers)
    assert (answer.status_code, answer.json()) == (503, {"detail": "Service unavailable"})
    assert loaded == []


def test_expired_claims_log_nobody_in() -> None:
    """Not even when a codec of the application's own gives them."""

    class Forgiving:
        def decode(self, token: str) -> Any:
            return TOKENS.decode_expired(token, max_age=timedelta(days=1))

    get_current_user = make_current_user(load_dict, tokens=Forgiving(), token_url="login")  # type: ignore[call-overload]
    app = FastAPI()

    @app.get("/me")
    async def me(user: Annotated[Any, Depends(get_current_user)]) -> Any:
        return user

    assert TestClient(app).get("/me", headers={"Authorization": f"Bearer {EXPIRED}"}).status_code == 401
