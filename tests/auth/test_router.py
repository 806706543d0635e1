"""Login, refresh, logout: the routes over an application's own users, with tokens in the body or in cookies."""

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

import bcrypt
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns import (
    Claims,
    ConfigurationError,
    EnvelopeRenderer,
    PasswordHasher,
    ProblemRenderer,
    TokenCodec,
    TokenConfig,
    install_error_handlers,
    make_current_user,
)
from fastapi_patterns.auth import (
    AuthCookies,
    CsrfProtection,
    InMemoryTokenStore,
    LoginRules,
    LoginSessions,
    api_key_header,
    authenticate,
    bearer_token,
    make_auth_router,
)
from fastapi_patterns.security import Argon2Params

SECRET = "S3cr3t-of-the-tests-0123456789-abc"
ORIGIN = "https://shop.example"
JSON = {"Content-Type": "application/json"}
PASSWORDS = PasswordHasher(Argon2Params.FOR_TESTS_ONLY)


@dataclass
class User:
    """A user of the application's own."""

    id: int
    name: str
    password_hash: str | None
    is_active: bool = True
    scopes: str = ""


@dataclass
class Shop:
    """An application with login routes, and what it is made of."""

    app: FastAPI
    client: TestClient
    users: dict[str, User]
    clock: list[datetime]
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    wait: list[Any] = field(default_factory=list)


def make_shop(*, with_cookies: bool = False, guarded: bool = False, loopback: bool = False) -> Shop:
    """The smallest application with login routes."""
    clock = [datetime.now(UTC)]
    tokens = TokenCodec(TokenConfig(secret_key=SECRET), now=lambda: clock[0])
    sessions = LoginSessions(InMemoryTokenStore(now=lambda: clock[0]), tokens=tokens, now=lambda: clock[0])
    users = {
        "ada": User(1, "ada", PASSWORDS.hash("correct horse"), scopes="read write"),
        "bob": User(2, "bob", PASSWORDS.hash("battery staple"), is_active=False),
        "eve": User(3, "eve", None),
    }
    shop = Shop(FastAPI(), None, users, clock)  # type: ignore[arg-type]
    csrf = CsrfProtection(SECRET, allow_origins=[ORIGIN, "http://localhost:8000"])
    cookies = AuthCookies(csrf=csrf, insecure_on_loopback=loopback) if with_cookies else None
    by_id = {str(user.id): user for user in users.values()}
    sources = [bearer_token("auth/login"), *([cookies.source()] if cookies else [])]
    current = make_current_user(
        lambda claims: by_id.get(claims.sub), tokens=tokens, sources=sources, revoked=sessions.revoked
    )

    async def find_user(name: str) -> User | None:
        return users.get(name)

    async def guard(name: str, address: str | None) -> timedelta | None:
        shop.asked.append((name, address))
        return shop.wait.pop() if shop.wait else None

    shop.app.include_router(
        make_auth_router(
            sessions,
            find_user=find_user,
            load_user=by_id.get,
            rules=LoginRules(passwords=PASSWORDS, is_active=lambda user: user.is_active),
            current_user=current,
            claims=lambda user: {"scope": user.scopes} if user.scopes else {},
            guard=guard if guarded else None,
            cookies=cookies,
        )
    )

    @shop.app.get("/me")
    @shop.app.post("/me", include_in_schema=False)
    async def me(user: Annotated[User, Depends(current)]) -> str:
        return user.name

    base_url = "http://localhost:8000" if loopback else ORIGIN
    shop.client = TestClient(shop.app, base_url=base_url, client=("127.0.0.1", 50_000))
    return shop


@pytest.fixture
def shop() -> Shop:
    """An application that answers with tokens."""
    return make_shop()


def log_in(shop: Shop, **more: str) -> dict[str, Any]:
    """Log ada in, with the form."""
    answer = shop.client.post("/auth/login", data={"username": "ada", "password": "correct horse", **more})
    assert answer.status_code == 200
    return answer.json()  # type: ignore[no-any-return]


def bearer(token: str) -> dict[str, str]:
    """Headers with a token."""
    return {"Authorization": f"Bearer {token}"}


class TestTokens:
    """Tokens in the body."""

    @pytest.mark.parametrize("kind", ["data", "json"])
    def test_a_login_gives_tokens(self, shop: Shop, kind: str) -> None:
        """For the OAuth2 form and for JSON, and nothing may keep the answer."""
        answer = shop.client.post("/auth/login", **{kind: {"username": "ada", "password": "correct horse"}})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert sorted(body) == ["access_token", "expires_in", "refresh_token", "scope", "token_type"]
        assert (body["token_type"], body["expires_in"], body["scope"]) == ("bearer", 900, "read write")
        assert shop.client.get("/me", headers=bearer(body["access_token"])).json() == "ada"

    @pytest.mark.parametrize(
        ("name", "password"),
        [("ada", "wrong"), ("nobody", "correct horse"), ("bob", "battery staple"), ("eve", "x"), ("ada", "x" * 5000)],
    )
    def test_every_refused_login_reads_the_same(self, shop: Shop, name: str, password: str) -> None:
        """A wrong password, no such user, one who may not log in, one without a password."""
        answer = shop.client.post("/auth/login", data={"username": name, "password": password})
        assert (answer.status_code, answer.json()) == (401, {"detail": "Wrong user name or password"})
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_a_login_may_ask_for_fewer_scopes(self, shop: Shop) -> None:
        """And never gets more than the user has."""
        assert log_in(shop, scope="read admin")["scope"] == "read"

    def test_an_old_hash_is_renewed(self, shop: Shop) -> None:
        """After a login that succeeded only."""
        old = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
        shop.users["ada"].password_hash = old
        shop.client.post("/auth/login", data={"username": "ada", "password": "wrong"})
        assert shop.users["ada"].password_hash == old
        log_in(shop)
        assert shop.users["ada"].password_hash != old

    def test_a_refresh_token_works_once(self, shop: Shop) -> None:
        """Its second use ends the session, access tokens included."""
        first = log_in(shop)
        second = shop.client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
        assert second.status_code == 200
        assert second.headers["cache-control"] == "no-store"
        token = second.json()["access_token"]
        assert shop.client.get("/me", headers=bearer(token)).status_code == 200
        again = shop.client.post("/auth/refresh", data={"refresh_token": first["refresh_token"]})
        assert (again.status_code, again.json()) == (401, {"detail": "The session has ended"})
        assert shop.client.get("/me", headers=bearer(token)).status_code == 401
        last = shop.client.post("/auth/refresh", json={"refresh_token": second.json()["refresh_token"]})
        assert last.status_code == 401

    @pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
    @pytest.mark.parametrize("body", [{}, {"refreshToken": "x"}, {"token": "x"}])
    def test_a_body_without_the_token_is_no_logout(self, shop: Shop, path: str, body: dict[str, str]) -> None:
        """Whoever misspells it learns so, and does not believe that the session has ended."""
        answer = shop.client.post(path, json=body)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body", "refresh_token"]

    def test_a_refresh_never_widens_what_the_login_asked_for(self, shop: Shop) -> None:
        """RFC 6749 section 6; what the user has lost meanwhile is gone too."""
        first = log_in(shop, scope="read admin")
        second = shop.client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]}).json()
        assert (first["scope"], second["scope"]) == ("read", "read")
        shop.users["ada"].scopes = "write"
        third = shop.client.post("/auth/refresh", json={"refresh_token": second["refresh_token"]}).json()
        assert third["scope"] == ""

    def test_a_user_who_may_not_log_in_any_more_gets_no_new_token(self, shop: Shop) -> None:
        """The session is over for good."""
        refresh = log_in(shop)["refresh_token"]
        shop.users["ada"].is_active = False
        assert shop.client.post("/auth/refresh", json={"refresh_token": refresh}).status_code == 401
        shop.users["ada"].is_active = True
        assert shop.client.post("/auth/refresh", json={"refresh_token": refresh}).status_code == 401

    def test_a_refreshed_token_has_what_the_user_has_now(self, shop: Shop) -> None:
        """A scope that was taken away is gone."""
        refresh = log_in(shop)["refresh_token"]
        shop.users["ada"].scopes = "read"
        assert shop.client.post("/auth/refresh", json={"refresh_token": refresh}).json()["scope"] == "read"

    def test_a_logout_ends_the_session(self, shop: Shop) -> None:
        """Whoever logs out twice is logged out too."""
        tokens = log_in(shop)
        for _ in range(2):
            out = shop.client.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
            assert (out.status_code, out.content) == (204, b"")
        assert shop.client.get("/me", headers=bearer(tokens["access_token"])).status_code == 401
        assert shop.client.post("/auth/logout", json={"refresh_token": "nonsense"}).status_code == 204

    def test_a_logout_everywhere_ends_all(self, shop: Shop) -> None:
        """Of the user who asks; a later login works."""
        here, there = log_in(shop), log_in(shop)
        assert shop.client.post("/auth/logout-all").status_code == 401
        assert shop.client.post("/auth/logout-all", headers=bearer(here["access_token"])).status_code == 204
        for tokens in (here, there):
            assert shop.client.get("/me", headers=bearer(tokens["access_token"])).status_code == 401
        assert shop.client.get("/me", headers=bearer(log_in(shop)["access_token"])).status_code == 200

    @pytest.mark.parametrize("token", ["", "nonsense", "a.b", "x" * 66])
    def test_what_is_no_refresh_token_is_refused(self, shop: Shop, token: str) -> None:
        """With the same answer."""
        answer = shop.client.post("/auth/refresh", json={"refresh_token": token})
        assert (answer.status_code, answer.json()) == (401, {"detail": "The session has ended"})

    def test_nothing_secret_is_logged(self, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
        """Events have fixed fields."""
        with caplog.at_level(logging.DEBUG):
            tokens = log_in(shop)
            shop.client.post("/auth/login", data={"username": "ada", "password": "a wrong password"})
            shop.client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        events = [record.event for record in caplog.records if record.name == "fastapi_patterns.auth"]  # type: ignore[attr-defined]
        assert events == ["auth.success", "auth.failure", "auth.success"]
        for secret in ("a wrong password", "correct horse", tokens["refresh_token"], tokens["access_token"]):
            assert secret not in caplog.text


class TestBodies:
    """What the routes read."""

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            ({"json": {}}, 422),
            ({"json": {"username": "ada"}}, 422),
            ({"json": {"username": "ada", "password": 7}}, 422),
            ({"json": {"username": "ada", "password": "x", "scope": ["read"]}}, 422),
            ({"json": {"username": "a" * 321, "password": "x"}}, 422),
            ({"json": {"username": "a\0", "password": "x"}}, 422),
            ({"content": rb'{"username": "\ud800", "password": "x"}', "headers": JSON}, 422),
            ({"json": ["ada"]}, 422),
            ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422),
            ({"content": b"[" * 10_000, "headers": {"Content-Type": "application/json"}}, 422),
            ({"content": b"\xff=1", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 422),
            ({"content": b"&a=1" * 30, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 422),
            ({"content": b"<xml/>", "headers": {"Content-Type": "text/xml"}}, 415),
            ({"json": {"username": "ada", "password": "x" * 20_000}}, 413),
        ],
    )
    def test_a_body_that_is_none_is_refused(self, shop: Shop, sent: dict[str, Any], status: int) -> None:
        """Before anybody is looked for, and without its content in the answer."""
        answer = shop.client.post("/auth/login", **sent)
        assert answer.status_code == status
        assert "x" * 100 not in answer.text

    def test_a_refresh_token_is_text(self, shop: Shop) -> None:
        """Any other type does not fit."""
        assert shop.client.post("/auth/refresh", json={"refresh_token": 7}).status_code == 422

    def test_the_document_shows_both_kinds_of_body(self, shop: Shop) -> None:
        """And what is answered."""
        paths = shop.client.get("/openapi.json").json()["paths"]
        content = paths["/auth/login"]["post"]["requestBody"]["content"]
        assert sorted(content) == ["application/json", "application/x-www-form-urlencoded"]
        assert content["application/json"]["schema"]["required"] == ["username", "password"]
        assert "401" in paths["/auth/refresh"]["post"]["responses"]
        assert "204" in paths["/auth/logout"]["post"]["responses"]

    @pytest.mark.parametrize("stack", [True, False])
    def test_the_document_shows_how_a_body_is_refused(self, stack: bool, shop: Shop) -> None:
        """These routes read the body themselves, so FastAPI does not add it; with and without the error handlers."""
        if stack:
            install_error_handlers(shop.app)
        document = shop.app.openapi()
        for path in ("/auth/login", "/auth/refresh", "/auth/logout"):
            responses = document["paths"][path]["post"]["responses"]
            assert {"413", "415", "422"} <= responses.keys()
            reference = responses["422"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            (member,) = document["components"]["schemas"][reference]["properties"]
            assert member == ("errors" if stack else "detail")

    @pytest.mark.parametrize(
        ("renderer", "media_type", "member"),
        [
            (None, "application/json", "detail"),
            (EnvelopeRenderer(), "application/json", "detail"),
            (ProblemRenderer(), "application/problem+json", "title"),
        ],
    )
    def test_the_document_shows_what_a_refused_client_reads(
        self, renderer: Any, media_type: str, member: str, shop: Shop
    ) -> None:
        """FastAPI's own body, or that of a renderer for all errors."""
        if renderer:
            install_error_handlers(shop.app, renderer=renderer)
        document = shop.app.openapi()
        for path, statuses in {"/auth/login": (401, 413, 415), "/auth/logout": (413, 415)}.items():
            for status in statuses:
                content = document["paths"][path]["post"]["responses"][str(status)]["content"]
                assert content.keys() == {media_type}
                schema = content[media_type]["schema"]
                if "$ref" in schema:
                    schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                assert member in schema["properties"]
        answer = TestClient(shop.app).post("/auth/login", content=b"x" * 20_000)
        assert (answer.status_code, member in answer.json()) == (413, True)


class TestGuard:
    """Slowing down guesses."""

    def test_the_guard_is_asked_before_any_hashing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And answers with 429 and when to come again."""
        shop = make_shop(guarded=True)
        shop.wait.append(timedelta(seconds=30))
        hashed = []
        monkeypatch.setattr(PASSWORDS, "averify_and_update", lambda *_: hashed.append(1))
        answer = shop.client.post("/auth/login", data={"username": "ada", "password": "x"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
        assert (hashed, shop.asked) == ([], [("ada", "127.0.0.1")])

    def test_whom_it_lets_pass_may_log_in(self) -> None:
        """None goes on."""
        assert log_in(make_shop(guarded=True))["token_type"] == "bearer"

    def test_an_answer_that_is_none_of_its_own_is_an_error(self) -> None:
        """And lets nobody in."""
        shop = make_shop(guarded=True)
        shop.wait.append(True)
        with pytest.raises(TypeError, match="guard must give a timedelta"):
            shop.client.post("/auth/login", data={"username": "ada", "password": "correct horse"})


class TestCookies:
    """Tokens in cookies."""

    HEADERS: ClassVar = {"Origin": ORIGIN}

    def test_a_browser_gets_cookies(self) -> None:
        """With the attributes that keep them where they belong; the body has no token."""
        shop = make_shop(with_cookies=True)
        form = {"username": "ada", "password": "correct horse"}
        answer = shop.client.post("/auth/login", data=form, headers=self.HEADERS)
        assert sorted(answer.json()) == ["expires_in", "scope", "token_type"]
        set_cookies = {line.split("=")[0]: line for line in answer.headers.get_list("set-cookie")}
        access, refresh, csrf = (
            set_cookies[name] for name in ("__Host-session", "__Secure-session_refresh", "csrf_token")
        )
        assert "HttpOnly; Max-Age=1209600; Path=/; SameSite=lax; Secure" in access
        assert "HttpOnly; Max-Age=1209600; Path=/auth; SameSite=strict; Secure" in refresh
        assert "Path=/; SameSite=lax; Secure" in csrf
        assert "HttpOnly" not in csrf
        assert "Domain" not in access

    def test_the_session_goes_on_and_ends_with_cookies(self) -> None:
        """Unsafe requests bring the CSRF token."""
        shop = make_shop(with_cookies=True)
        form = {"username": "ada", "password": "correct horse"}
        shop.client.post("/auth/login", data=form, headers=self.HEADERS)
        assert shop.client.get("/me").json() == "ada"
        assert shop.client.post("/me", headers=self.HEADERS).status_code == 403
        csrf = {"X-CSRF-Token": shop.client.cookies["csrf_token"], **self.HEADERS}
        assert shop.client.post("/me", headers=csrf).json() == "ada"
        assert shop.client.post("/auth/refresh", headers=self.HEADERS).status_code == 200
        assert shop.client.get("/me").json() == "ada"
        assert shop.client.post("/auth/logout", headers=self.HEADERS).status_code == 204
        assert not shop.client.cookies
        assert shop.client.get("/me").status_code == 401

    def test_a_login_ends_the_session_that_the_browser_had(self) -> None:
        """Its access token included."""
        shop = make_shop(with_cookies=True)
        form = {"username": "ada", "password": "correct horse"}
        shop.client.post("/auth/login", data=form, headers=self.HEADERS)
        first = shop.client.cookies["__Host-session"]
        shop.client.post("/auth/login", data=form, headers=self.HEADERS)
        assert shop.client.get("/me").json() == "ada"
        assert TestClient(shop.app, base_url=ORIGIN).get("/me", headers=bearer(first)).status_code == 401

    def test_a_logout_everywhere_takes_the_cookies_away(self) -> None:
        """It is an unsafe request with a cookie, as any other."""
        shop = make_shop(with_cookies=True)
        form = {"username": "ada", "password": "correct horse"}
        shop.client.post("/auth/login", data=form, headers=self.HEADERS)
        csrf = {"X-CSRF-Token": shop.client.cookies["csrf_token"], **self.HEADERS}
        assert shop.client.post("/auth/logout-all", headers=csrf).status_code == 204
        assert not shop.client.cookies

    @pytest.mark.parametrize("origin", [None, "null", "https://evil.example"])
    @pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh", "/auth/logout"])
    def test_the_routes_that_set_cookies_check_where_a_request_comes_from(self, path: str, origin: str | None) -> None:
        """Another site must not log somebody in, or out."""
        shop = make_shop(with_cookies=True)
        headers = {} if origin is None else {"Origin": origin}
        form = {"username": "ada", "password": "correct horse"}
        assert shop.client.post(path, data=form, headers=headers).status_code == 403

    def test_a_logout_ends_the_session_where_the_refresh_cookie_does_not_come_along(self) -> None:
        """Two of them, or another path: the access cookie names the session too."""
        shop = make_shop(with_cookies=True)
        form = {"username": "ada", "password": "correct horse"}
        shop.client.post("/auth/login", data=form, headers=self.HEADERS)
        access, refresh = (shop.client.cookies[f"__{name}"] for name in ("Host-session", "Secure-session_refresh"))
        twice = f"__Host-session={access}; __Secure-session_refresh={refresh}; __Secure-session_refresh=x"
        bare = TestClient(shop.app, base_url=ORIGIN)
        assert bare.post("/auth/logout", headers={**self.HEADERS, "Cookie": twice}).status_code == 204
        assert bare.get("/me", headers=bearer(access)).status_code == 401
        assert (
            bare.post("/auth/logout", headers={**self.HEADERS, "Cookie": "__Host-session=nonsense"}).status_code == 204
        )

    def test_two_cookies_of_one_name_are_none(self) -> None:
        """A subdomain could have set the other one."""
        shop = make_shop(with_cookies=True)
        headers = {**self.HEADERS, "Cookie": "__Secure-session_refresh=a; __Secure-session_refresh=b"}
        assert shop.client.post("/auth/refresh", headers=headers).status_code == 401

    def test_development_without_tls(self) -> None:
        """On a loopback host only: no prefix, no Secure."""
        shop = make_shop(with_cookies=True, loopback=True)
        form = {"username": "ada", "password": "correct horse"}
        headers = {"Origin": "http://localhost:8000"}
        answer = shop.client.post("/auth/login", data=form, headers=headers)
        assert sorted(shop.client.cookies) == ["csrf_token", "session", "session_refresh"]
        assert "Secure" not in str(answer.headers)
        assert shop.client.get("/me").json() == "ada"
        proxied = {**headers, "X-Forwarded-Proto": "https"}  # a proxy's own `Host` says nothing of the client's
        assert "__Host-session" in str(shop.client.post("/auth/login", data=form, headers=proxied).headers)
        stranger = TestClient(shop.app, base_url="http://localhost:8000", client=("203.0.113.9", 50_000))
        assert "__Host-session" in str(stranger.post("/auth/login", data=form, headers=headers).headers)
        elsewhere = TestClient(shop.app, base_url="http://shop.example")
        answer = elsewhere.post("/auth/login", data=form, headers=self.HEADERS)
        assert "__Host-session" in str(answer.headers)

    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({"refresh_path": "auth"}, "must be a path"),
            ({"refresh_path": "/auth; Domain=evil.example"}, "must be a path"),
            ({"same_site": "none"}, "must be 'lax' or 'strict'"),
            ({"name": "a b"}, "not a name"),
            ({"csrf": None}, "needs csrf"),
        ],
    )
    def test_cookies_that_cannot_be_are_refused(self, settings: dict[str, Any], problem: str) -> None:
        """When they are described."""
        csrf = CsrfProtection(SECRET, allow_origins=[ORIGIN])
        with pytest.raises(ConfigurationError, match=problem):
            AuthCookies(**{"csrf": csrf, **settings})


def load_of_claims(claims: Claims) -> str:
    """The loader of `make_current_user`, which is another one."""
    return claims.sub


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"find_user": "ada"}, "find_user must be a callable"),
        ({"find_user": lambda: None}, r"must take the username as its first parameter: def find_user\(username, ...\)"),
        ({"load_user": lambda: None}, "must take the subject as its first parameter"),
        ({"current_user": None}, "current_user must be what make_current_user"),
        ({"rules": LoginRules}, "rules must be LoginRules"),
        ({"cookies": AuthCookies}, "cookies must be AuthCookies"),
        ({"load_user": load_of_claims}, "receives the subject as text here, and not the claims"),
    ],
)
def test_routes_that_cannot_work_are_refused(settings: dict[str, Any], problem: str) -> None:
    """When they are made."""
    tokens = TokenCodec(TokenConfig(secret_key=SECRET))

    def load(claims: Claims) -> str:
        return claims.sub

    good: dict[str, Any] = {
        "find_user": {}.get,
        "load_user": {}.get,
        "rules": LoginRules(passwords=PASSWORDS),
        "current_user": make_current_user(load, tokens=tokens),
    }
    with pytest.raises(ConfigurationError, match=problem):
        make_auth_router(LoginSessions(InMemoryTokenStore(), tokens=tokens), **{**good, **settings})
    with pytest.raises(ConfigurationError, match="sessions must be LoginSessions"):
        make_auth_router(LoginSessions, **good)  # type: ignore[arg-type]


def test_rules_need_a_hasher() -> None:
    """One that verifies without blocking the event loop."""
    with pytest.raises(ConfigurationError, match="passwords must be a PasswordHasher"):
        LoginRules(passwords=object())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="passwords must be a PasswordHasher"):
        LoginRules(passwords=PasswordHasher)  # type: ignore[arg-type]


def test_a_key_logs_nobody_out() -> None:
    """A logout everywhere needs a token; a key is not its owner."""
    tokens = TokenCodec(TokenConfig(secret_key=SECRET))
    sessions = LoginSessions(InMemoryTokenStore(), tokens=tokens)
    user = User(1, "ada", None)
    current = make_current_user(
        lambda _: user,
        tokens=tokens,
        sources=[bearer_token(), api_key_header("X-Key", lambda _: user)],
        revoked=sessions.revoked,
    )
    app = FastAPI()
    rules = LoginRules[User](passwords=PASSWORDS)
    app.include_router(
        make_auth_router(sessions, find_user={}.get, load_user={}.get, rules=rules, current_user=current)
    )
    client = TestClient(app)
    assert client.post("/auth/logout-all", headers={"X-Key": "k"}).status_code == 403
    assert client.post("/auth/logout-all", headers=bearer(tokens.encode({"sub": 1}))).status_code == 204
    app.dependency_overrides[current.base] = lambda: user
    assert client.post("/auth/logout-all").status_code == 204


def test_a_logout_that_ends_no_access_token_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """At the start: the hook is easily forgotten. Who may come in is asked at the login too."""
    tokens = TokenCodec(TokenConfig(secret_key=SECRET))
    user = User(1, "ada", PASSWORDS.hash("pw"), is_active=False)
    current = make_current_user(lambda _: user, tokens=tokens, is_active=lambda found: found.is_active)
    router = make_auth_router(
        LoginSessions(InMemoryTokenStore(), tokens=tokens),
        find_user={"ada": user}.get,
        load_user={"1": user}.get,
        rules=LoginRules[User](passwords=PASSWORDS),
        current_user=current,
    )
    assert "pass revoked=sessions.revoked" in caplog.text
    app = FastAPI()
    app.include_router(router)
    assert TestClient(app).post("/auth/login", json={"username": "ada", "password": "pw"}).status_code == 401


@pytest.mark.asyncio
async def test_users_may_be_dicts_and_no_is_no() -> None:
    """A field of another name is said where it is missing; False is nobody, as in the usual copies."""
    rules = LoginRules[Any](passwords=PASSWORDS)
    old = bcrypt.hashpw(b"pw", bcrypt.gensalt(4)).decode()
    user = {"id": 7, "password_hash": old}
    assert await authenticate(user, "pw", rules) is user
    assert user["password_hash"] != old
    assert rules.subject(user) == 7
    assert await authenticate(False, "pw", rules) is None
    with pytest.raises(ConfigurationError, match=r"LoginRules\(password_hash=lambda user: ...\)"):
        await authenticate({"hashed_password": old}, "pw", rules)
    with pytest.raises(ConfigurationError, match=r"LoginRules\(subject=lambda user: ...\)"):
        rules.subject(object())


@pytest.mark.asyncio
@pytest.mark.parametrize("changed", [True, False])
async def test_authenticate_alone(changed: bool) -> None:
    """For a login route of the application's own; a new hash may be stored by an async function."""
    stored: list[str] = []

    async def store(_user: User, new_hash: str) -> None:
        stored.append(new_hash)

    old = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    user = User(1, "ada", old)
    rules = LoginRules[User](passwords=PASSWORDS, set_password_hash=store if changed else None)
    assert await authenticate(user, "correct horse", rules) is user
    assert len(stored) == changed
    assert await authenticate(user, "wrong", rules) is None
    assert await authenticate(None, "correct horse", rules) is None


def test_a_login_that_is_under_way_ends_with_all_sessions() -> None:
    """The hash was read before the password was changed, so its session began before too."""
    clock = [datetime.now(UTC)]
    tokens = TokenCodec(TokenConfig(secret_key=SECRET), now=lambda: clock[0])
    sessions = LoginSessions(InMemoryTokenStore(now=lambda: clock[0]), tokens=tokens, now=lambda: clock[0])
    user = User(1, "ada", PASSWORDS.hash("old"))

    async def find_user(_name: str) -> User:
        found = replace(user)
        clock[0] += timedelta(seconds=1)
        await sessions.end_all(1)  # the password is changed while this one is being verified
        clock[0] += timedelta(seconds=1)
        return found

    current = make_current_user(lambda _: user, tokens=tokens, revoked=sessions.revoked)
    app = FastAPI()
    app.include_router(
        make_auth_router(
            sessions,
            find_user=find_user,
            load_user={"1": user}.get,
            rules=LoginRules[User](passwords=PASSWORDS),
            current_user=current,
        )
    )

    @app.get("/me")
    async def me(who: Annotated[User, Depends(current)]) -> str:
        return who.name

    client = TestClient(app)
    late = client.post("/auth/login", json={"username": "ada", "password": "old"}).json()
    assert client.get("/me", headers=bearer(late["access_token"])).status_code == 401
    assert client.post("/auth/refresh", json={"refresh_token": late["refresh_token"]}).status_code == 401


def test_a_finder_may_be_a_lambda_around_an_async_function() -> None:
    """What it gives is awaited, and nobody is nobody."""
    tokens = TokenCodec(TokenConfig(secret_key=SECRET))
    sessions = LoginSessions(InMemoryTokenStore(), tokens=tokens)
    users = {"ada": User(1, "ada", PASSWORDS.hash("pw"))}

    async def find(name: str) -> User | None:
        return users.get(name)

    app = FastAPI()
    app.include_router(
        make_auth_router(
            sessions,
            find_user=lambda name: find(name),
            load_user=lambda _: find("nobody"),
            rules=LoginRules[User](passwords=PASSWORDS),
            current_user=make_current_user(lambda claims: claims.sub, tokens=tokens, revoked=sessions.revoked),
        )
    )
    client = TestClient(app)
    issued = client.post("/auth/login", json={"username": "ada", "password": "pw"})
    assert issued.status_code == 200
    refreshed = client.post("/auth/refresh", json={"refresh_token": issued.json()["refresh_token"]})
    assert refreshed.status_code == 401
