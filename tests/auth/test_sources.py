"""Where credentials come from: read strictly, one at a time, and never falling through."""

import base64
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns import Claims, ConfigurationError, TokenCodec, TokenConfig, make_current_user
from fastapi_patterns.auth import (
    CsrfProtection,
    Source,
    api_key_header,
    authorization_token,
    basic_credentials,
    bearer_token,
    cookie_token,
    header_token,
    query_token,
)

SECRET = "S3cr3t-of-the-tests-0123456789-abc"
TOKENS = TokenCodec(TokenConfig(secret_key=SECRET))
TOKEN = TOKENS.encode({"sub": 7}, expires_delta=timedelta(days=1))  # also where all tests take an hour
ORIGIN = "https://shop.example"
CSRF = CsrfProtection(SECRET, allow_origins=[ORIGIN])


def load(claims: Claims) -> str:
    """The subject is the user."""
    return claims.sub


def client_of(*sources: Source) -> TestClient:
    """An application with `/me` for these sources."""
    app = FastAPI()
    current = make_current_user(load, tokens=TOKENS, sources=sources)

    @app.api_route("/me", methods=["GET", "POST"])
    async def me(user: Annotated[Any, Depends(current)]) -> Any:
        return user

    return TestClient(app, base_url=ORIGIN)


@pytest.mark.parametrize(
    ("source", "headers", "status"),
    [
        (bearer_token(), {"Authorization": f"Bearer {TOKEN}"}, 200),
        (bearer_token(), {"Authorization": f"Token {TOKEN}"}, 401),
        (authorization_token("Token"), {"Authorization": f"token {TOKEN}"}, 200),
        (authorization_token("Token"), {"Authorization": f"Bearer {TOKEN}"}, 401),
        (authorization_token("Token"), {"Authorization": "Token "}, 401),
        (header_token("X-Token"), {"X-Token": TOKEN}, 200),
        (header_token("X-Token"), {"X-Token": ""}, 401),
        (header_token("X-Token"), {"X-Token": f"{TOKEN} x"}, 401),
        (header_token("X-Token"), {"X-Token": "x" * 20_000}, 401),
        (cookie_token("t", csrf=CSRF), {"Cookie": f"a=b; t={TOKEN}"}, 200),
        (cookie_token("t", csrf=CSRF), {"Cookie": f't="{TOKEN}"'}, 200),
        (cookie_token("t", csrf=CSRF), {"Cookie": f"a=b;\xa0t={TOKEN}".encode("latin-1")}, 401),
        (cookie_token("t", csrf=CSRF), {"Cookie": f"\x85t={TOKEN}".encode("latin-1")}, 401),
        (cookie_token("t", csrf=CSRF), {"Cookie": "t"}, 401),
        (cookie_token("t", csrf=CSRF), {"Cookie": "t="}, 401),
        (cookie_token("t", csrf=CSRF), {"Cookie": f"T={TOKEN}"}, 401),
        (cookie_token("t", csrf=CSRF), {"Cookie": f"t={TOKEN}; t={TOKEN}"}, 401),
    ],
)
def test_a_credential_is_read_strictly(source: Source, headers: dict[str, Any], status: int) -> None:
    """The right word, once, and nothing around it."""
    assert client_of(source).get("/me", headers=headers).status_code == status


@pytest.mark.parametrize("name", ["Authorization", "X-Token", "X-Key"])
def test_a_header_sent_twice_is_refused(name: str) -> None:
    """Proxies and servers disagree on which one counts."""
    client = client_of(bearer_token(), header_token("X-Token"), api_key_header("X-Key", lambda key: key))
    value = f"Bearer {TOKEN}" if name == "Authorization" else TOKEN
    assert client.get("/me", headers=[(name, value), (name, value)]).status_code == 401


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({"Authorization": f"Bearer {TOKEN}", "X-Token": TOKEN}, "/me"),
        ({"Authorization": f"Bearer {TOKEN}"}, f"/me?access_token={TOKEN}"),
        ({"X-Token": TOKEN}, f"/me?q={TOKEN}"),
    ],
)
def test_two_credentials_at_once_are_a_bad_request(headers: dict[str, str], path: str) -> None:
    """They may contradict each other (RFC 6750 section 2)."""
    client = client_of(bearer_token(), header_token("X-Token"), query_token("q", http=True))
    answer = client.get(path, headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"detail": "More than one credential was sent"})
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_request"'


def test_a_parameter_of_the_applications_own_is_no_credential() -> None:
    """Only `access_token` is one."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert client_of(bearer_token()).get("/me?my_access_token=1", headers=headers).status_code == 200


def test_a_token_in_a_url_is_read_where_it_is_asked_for_only() -> None:
    """And once."""
    assert client_of(query_token("q")).get(f"/me?q={TOKEN}").status_code == 401
    asked = client_of(query_token("q", http=True))
    assert asked.get(f"/me?q={TOKEN}").status_code == 200
    assert asked.get(f"/me?q={TOKEN}&q={TOKEN}").status_code == 401
    assert asked.get("/me").status_code == 401


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("value", ["Bearer nonsense", f"Bearer {TOKEN}x", "Basic YTpi", ""])
def test_a_header_wins_over_a_cookie(value: str, first: bool) -> None:
    """Whatever it says, and wherever the cookie stands in the list."""
    listed = [cookie_token("t", csrf=CSRF), bearer_token()]
    client = client_of(*(listed if first else reversed(listed)))
    assert client.get("/me", headers={"Authorization": value, "Cookie": f"t={TOKEN}"}).status_code == 401
    for cookies in ("t=nonsense", "t=a; t=b"):
        good = client.get("/me", headers={"Authorization": f"Bearer {TOKEN}", "Cookie": cookies})
        assert good.status_code == 200
    assert client.get("/me", headers={"Cookie": f"t={TOKEN}"}).status_code == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (base64.b64encode(b"ada:pw").decode(), 200),
        (base64.b64encode(b"ada:p:w").decode(), 401),
        (base64.b64encode(b"ada:other").decode(), 401),
        (base64.b64encode(b"ada").decode(), 401),
        (base64.b64encode(b"ada:\x00").decode(), 401),
        (base64.b64encode(b"\xff:pw").decode(), 401),
        ("no base64", 401),
        ("=", 401),
        ("", 401),
    ],
)
def test_basic_credentials(sent: str, status: int) -> None:
    """User name and password as RFC 7617 writes them; the loader verifies."""
    client = client_of(basic_credentials(lambda found: found.username if found.password == "pw" else None))
    answer = client.get("/me", headers={"Authorization": f"Basic {sent}"})
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == 'Basic error="invalid_token"'


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": ORIGIN}, 403),  # no CSRF token
        ({"Origin": ORIGIN, "X-CSRF-Token": CSRF.token("another session")}, 403),
        ({"Origin": ORIGIN, "X-CSRF-Token": "nonsense"}, 403),
        ({"Origin": ORIGIN, "X-CSRF-Token": "ä.b"}, 403),
        ({"X-CSRF-Token": "good"}, 403),
        ({"Origin": "null", "X-CSRF-Token": "good"}, 403),
        ({"Origin": "https://evil.example", "X-CSRF-Token": "good"}, 403),
        ({"Origin": f"{ORIGIN}.evil.example", "X-CSRF-Token": "good"}, 403),
        ({"Origin": ORIGIN, "X-CSRF-Token": "good"}, 200),
    ],
)
def test_an_unsafe_request_with_a_cookie_comes_from_our_pages(headers: dict[str, str], status: int) -> None:
    """From a listed origin and with the session's token; a header needs neither."""
    client = client_of(cookie_token("t", csrf=CSRF), bearer_token())
    token = TOKENS.encode({"sub": 7, "sid": "s1"})
    if headers.get("X-CSRF-Token") == "good":
        headers = {**headers, "X-CSRF-Token": CSRF.token("s1")}
    encoded = {name: value.encode() for name, value in headers.items()}
    answer = client.post("/me", headers={**encoded, "Cookie": f"t={token}".encode()})
    assert answer.status_code == status
    if status == 403:
        assert answer.json() == {"detail": "Cross-site request refused"}
        assert "WWW-Authenticate" not in answer.headers
    assert client.post("/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_the_csrf_token_of_a_token_without_session_is_bound_to_its_id() -> None:
    """A new token has another one."""
    client, claims = client_of(cookie_token("t", csrf=CSRF)), TOKENS.decode(TOKEN)
    headers = {"Origin": ORIGIN, "Cookie": f"t={TOKEN}", "X-CSRF-Token": CSRF.token(str(claims.jti))}
    assert client.post("/me", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("origins", "problem"),
    [
        ([], "must be a list of origins"),
        (ORIGIN, "must be a list of origins"),
        (["*"], "an origin is scheme://host"),
        (["null"], "an origin is scheme://host"),
        (["https://*.example"], "an origin is scheme://host"),
        (["https://shop.example/path"], "an origin is scheme://host"),
        (["shop.example"], "an origin is scheme://host"),
        (["https://shop.example:443"], "no browser sends it"),
        (["http://shop.example:80"], "no browser sends it"),
    ],
)
def test_origins_are_listed_exactly(origins: Any, problem: str) -> None:
    """No wildcard, no path, no bare host."""
    with pytest.raises(ConfigurationError, match=problem):
        CsrfProtection(SECRET, allow_origins=origins)
    assert CsrfProtection(SECRET, allow_origins=["HTTPS://Shop.example/"]).allow_origins == {ORIGIN}
    assert repr(CSRF) == "CsrfProtection(allow_origins=['https://shop.example'])"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: cookie_token("t", csrf=None), "a cookie needs csrf"),  # type: ignore[arg-type]
        (lambda: cookie_token("t t", csrf=CSRF), "not a name"),
        (lambda: header_token(""), "not a name"),
        (lambda: authorization_token("a b"), "not a name"),
        (lambda: api_key_header("X:Y", load), "not a name"),
        (lambda: client_of(api_key_header("X-Key", "load")), "must be a callable"),  # type: ignore[arg-type]
        (lambda: client_of(), "sources must be one or more"),
        (lambda: client_of("bearer"), "sources must be one or more"),  # type: ignore[arg-type]
    ],
)
def test_a_source_that_cannot_work_is_refused(make: Any, problem: str) -> None:
    """When it is made, or when the dependency is."""
    with pytest.raises(ConfigurationError, match=problem):
        make()


def test_loaders_share_parameters_that_mean_the_same() -> None:
    """And say so when one name means two things."""

    def number() -> int:
        return 1

    def text() -> str:
        return "1"

    def by_token(claims: Claims, n: Annotated[Any, Depends(number)]) -> Any:
        return [claims.sub, n]

    def by_key(key: str, n: Annotated[Any, Depends(number)], q: int = 0) -> Any:
        return [key, n, q]

    def other(key: str, n: Annotated[Any, Depends(text)]) -> Any:
        return [key, n]

    app = FastAPI()
    current = make_current_user(by_token, tokens=TOKENS, sources=[bearer_token(), api_key_header("X-Key", by_key)])

    @app.get("/me")
    async def me(user: Annotated[Any, Depends(current)]) -> Any:
        return user

    client = TestClient(app)
    assert client.get("/me", headers={"Authorization": f"Bearer {TOKEN}"}).json() == ["7", 1]
    assert client.get("/me?q=2", headers={"X-Key": "k"}).json() == ["k", 1, 2]
    with pytest.raises(ConfigurationError, match="two loaders take a parameter 'n'"):
        make_current_user(by_token, tokens=TOKENS, sources=[bearer_token(), api_key_header("X-Key", other)])
