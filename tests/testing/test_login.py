"""`login_as` and `auth_headers`, in projects of their own."""

import pytest

from tests.testing.test_plugin import configure

APP = """
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from fastapi import Depends, FastAPI, Security, WebSocket
from fastapi_patterns import Claims, TokenCodec, TokenConfig, make_current_user
from fastapi_patterns.auth import {imports} InMemoryTokenStore, LoginSessions

@dataclass
class User:
    id: int
    name: str
    is_admin: bool = False

ADA, EVE = User(1, "ada", is_admin=True), User(2, "eve")
USERS = {{"1": ADA, "2": EVE, "ada": ADA}}
SECRET = "S3cr3t-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz"
tokens = TokenCodec(TokenConfig(secret_key=SECRET{config}))
sessions = LoginSessions(InMemoryTokenStore(), tokens=tokens)

async def load_user(claims: Claims) -> User | None:
    return USERS.get(claims.sub)

get_current_user = make_current_user(load_user, tokens=tokens, revoked=sessions.revoked{options})
app = FastAPI()

@app.get("/me")
def me(user: Annotated[Any, Depends(get_current_user)]) -> str:
    return user.name

@app.post("/me")
def change(user: Annotated[Any, Depends(get_current_user)]) -> str:
    return user.name

@app.get("/admin")
def admin(user: Annotated[Any, Depends(get_current_user.requiring(lambda user: user.is_admin))]) -> str:
    return user.name

@app.get("/reports")
def reports(user: Annotated[Any, Security(get_current_user, scopes=["reports:read", "all"])]) -> str:
    return user.name

@app.get("/fresh")
def fresh(user: Annotated[Any, Depends(get_current_user.fresh(timedelta(minutes=1)))]) -> str:
    return user.name

@app.websocket("/socket")
async def socket(websocket: WebSocket, user: Annotated[Any, Depends(get_current_user)]) -> None:
    await websocket.accept()
    await websocket.send_text(user.name)
    await websocket.close()
"""


def write(
    pytester: pytest.Pytester, test: str, *, options: str = "", imports: str = "", config: str = "", more: str = ""
) -> None:
    """Write a project: its application, configuration and tests."""
    pytester.makepyfile(shop=APP.format(options=options, imports=imports, config=config) + more, test_it=test)
    configure(pytester, addopts="-p no:cacheprovider")


def test_a_real_token_logs_in(pytester: pytest.Pytester) -> None:
    """By the id or the user, for requests and websockets; scopes, checks and freshness are the application's own."""
    write(
        pytester,
        """
        import pytest
        from shop import ADA, EVE

        @pytest.mark.parametrize("user", [ADA, 1, "1", {"id": 1}])
        def test_everywhere(client, login_as, user):
            login_as(user, scopes=["reports:read", "all"])
            for path in ("/me", "/admin", "/reports", "/fresh"):
                assert client.get(path).json() == "ada"
            with client.websocket_connect("/socket") as socket:
                assert socket.receive_text() == "ada"

        def test_the_next_test_is_logged_out(client):
            assert client.get("/me").status_code == 401

        def test_scopes_and_checks(client, login_as):
            login_as(EVE, scopes=["all"])
            assert client.get("/me").json() == "eve"
            assert client.get("/admin").status_code == client.get("/reports").status_code == 403

        def test_claims_and_subject(client, login_as):
            login_as(EVE, subject="ada", claims={"auth_time": 1})
            assert client.get("/me").json() == "ada"
            assert client.get("/fresh").status_code == 401

        def test_somebody_who_does_not_exist(client, login_as):
            login_as(404)
            assert client.get("/me").status_code == 401

        def test_a_block_ends(client, login_as):
            client.headers["X-Mine"] = "kept"
            login_as(ADA)
            with login_as(EVE) as login:
                assert client.get("/me").json() == "eve"
                assert login.headers["Authorization"].startswith("Bearer ")
            assert client.get("/me").json() == "ada"
            login.log_out()
            assert client.get("/me").json() == "ada"
            assert client.headers["X-Mine"] == "kept"
        """,
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=9)


def test_workers_log_in_too(pytester: pytest.Pytester) -> None:
    """Under pytest-xdist nothing changes."""
    write(
        pytester,
        """
        import pytest

        @pytest.mark.parametrize("user, name", [(1, "ada"), (2, "eve")] * 4)
        def test_it(client, login_as, user, name):
            assert client.get("/me").status_code == 401
            login_as(user)
            assert client.get("/me").json() == name
        """,
    )
    configure(pytester, addopts="-n 2")
    pytester.runpytest_subprocess().assert_outcomes(passed=8)


def test_an_async_client_is_logged_in(pytester: pytest.Pytester) -> None:
    """The project's own `async_client`, whichever of the two fixtures comes first, beside `client`."""
    pytester.makeconftest(
        """
        import httpx2, pytest_asyncio
        from httpx2 import ASGITransport

        @pytest_asyncio.fixture
        async def async_client(fastapi_app):
            async with httpx2.AsyncClient(transport=ASGITransport(fastapi_app), base_url="http://test") as client:
                yield client
        """
    )
    write(
        pytester,
        """
        import pytest

        @pytest.mark.asyncio
        async def test_before(login_as, async_client):
            with login_as(1):
                assert (await async_client.get("/me")).json() == "ada"
            assert (await async_client.get("/me")).status_code == 401

        @pytest.mark.asyncio
        async def test_after(async_client, login_as):
            login_as(2)
            assert (await async_client.get("/me")).json() == "eve"

        def test_both(client, async_client, login_as):
            login_as(2)
            assert client.headers["Authorization"] == async_client.headers["Authorization"]
        """,
    )
    configure(pytester, addopts="-p asyncio -o asyncio_default_fixture_loop_scope=function")
    ini = pytester.path / "tox.ini"
    ini.write_text(ini.read_text().replace("-p no:asyncio", ""))
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


COOKIES = """, sources=[AuthCookies(csrf=CsrfProtection(SECRET, allow_origins=["https://app.example"])).source()]"""


def test_an_application_with_cookies(pytester: pytest.Pytester) -> None:
    """The cookie, origin and CSRF token are sent; Secure cookies of the application come back; then all is gone."""
    write(
        pytester,
        """
        from shop import ADA

        def test_it(client, login_as):
            client.cookies.set("theme", "dark")
            with login_as(ADA):
                assert client.get("/me").json() == client.post("/me").json() == "ada"
                with client.websocket_connect("/socket") as socket:
                    assert socket.receive_text() == "ada"
                client.post("/theme")
                assert client.get("/theme").json() == "light"
            assert client.get("/me").status_code == client.post("/me").status_code == 401
            assert dict(client.cookies) == {"theme": "dark"}
            assert client.base_url == "http://testserver"

        def test_headers(client, auth_headers):
            assert client.post("/me", headers=auth_headers(ADA)).json() == "ada"
        """,
        options=COOKIES,
        imports="AuthCookies, CsrfProtection,",
        more="""
from fastapi import Request, Response

@app.post("/theme")
def set_theme(response: Response) -> None:
    response.set_cookie("mode", "light", secure=True)

@app.get("/theme")
def theme(request: Request) -> str | None:
    return request.cookies.get("mode")
""",
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("options", "header"),
    [
        (', sources=[header_token("X-Token")]', "X-Token"),
        (', sources=[query_token(), authorization_token("Token")]', "Authorization"),
        (f'{COOKIES[:-1]}, bearer_token("login")]', "Authorization"),
        (', sources=[api_key_header("X-Key", lambda key: None), bearer_token()]', "Authorization"),
    ],
)
def test_the_place_that_the_application_reads(pytester: pytest.Pytester, options: str, header: str) -> None:
    """A header of its own, another word than Bearer; a header where there is a cookie too."""
    write(
        pytester,
        f"""
        def test_it(client, login_as, auth_headers):
            assert list(auth_headers(1)) == [{header!r}]
            login_as(1)
            assert client.get("/me").json() == "ada"
        """,
        options=options,
        imports="AuthCookies, CsrfProtection, api_key_header, authorization_token, bearer_token, header_token, "
        "query_token,",
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_headers_of_several_users(pytester: pytest.Pytester) -> None:
    """`auth_headers` changes no client, and takes what `login_as` takes."""
    write(
        pytester,
        """
        from shop import ADA, EVE

        def test_it(client, auth_headers):
            ada, eve = auth_headers(ADA, scopes="reports:read all"), auth_headers(EVE)
            assert client.get("/reports", headers=ada).json() == "ada"
            assert client.get("/me", headers=eve).json() == "eve"
            assert client.get("/me").status_code == 401
        """,
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_an_override_is_restored(pytester: pytest.Pytester) -> None:
    """The user as it is, with every scope; checks run; what was there before comes back, after a failure too."""
    write(
        pytester,
        """
        from shop import EVE, User, app, get_current_user, sub

        app.dependency_overrides[len] = before = lambda: "kept"

        def test_fails(client, login_as):
            login_as(User(3, "bob"), mode="override")
            for path in ("/reports", "/sub/mine", "/fresh"):
                assert client.get(path).json() == "bob"
            assert client.get("/admin").status_code == 403
            with client.websocket_connect("/socket") as socket:
                assert socket.receive_text() == "bob"
            raise ValueError("on purpose")

        def test_restored(client, login_as):
            assert app.dependency_overrides == {len: before} and not sub.dependency_overrides
            assert client.get("/me").status_code == client.get("/sub/mine").status_code == 401
            app.dependency_overrides[get_current_user.base] = outer = lambda: EVE
            with login_as(User(4, "tom"), mode="override"):
                assert client.get("/me").json() == "tom"
            assert app.dependency_overrides == {len: before, get_current_user.base: outer}
            del app.dependency_overrides[get_current_user.base]

        def test_the_first_ends_before_the_second(login_as):
            first = login_as(EVE, mode="override")
            login_as(EVE, mode="override")
            first.log_out()
            assert app.dependency_overrides == {len: before}

        def test_nothing_is_left():
            assert app.dependency_overrides == {len: before}
        """,
        more="""
sub = FastAPI(openapi_url=None)
sub.get("/mine")(me)
app.mount("/sub", sub)
""",
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=3, failed=1)


def test_several_current_users_must_be_named(pytester: pytest.Pytester) -> None:
    """The message names their loaders and what to write; a codec that only checks tokens is told too."""
    write(
        pytester,
        """
        import pytest
        from shop import get_current_user, get_machine, tokens

        def test_named(client, login_as):
            login_as(1, current_user=get_current_user)
            assert client.get("/me").json() == "ada"

        def test_a_codec(client, login_as):
            login_as("robot", current_user=get_machine, tokens=tokens)
            assert client.get("/machine").json() == "robot"

        def test_not_named(client, login_as):
            login_as(1)

        def test_no_codec(client, login_as):
            login_as(1, current_user=get_machine)
        """,
        more="""
class OnlyDecodes:
    decode = tokens.decode

def load_machine(claims: Claims) -> str:
    return claims.sub

get_machine = make_current_user(load_machine, tokens=OnlyDecodes())

@app.get("/machine")
def machine(name: Annotated[str, Depends(get_machine.optional)]) -> str:
    return name
""",
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*2 current users, with the loaders load_machine, load_user; * current_user=get_current_user*",
            "*OnlyDecodes makes no tokens: name a codec that does, tokens=..., or use mode='override'*",
        ]
    )


MISTAKES = {
    "login_as(object())": "*object has no id *subject=user.email*",
    "login_as(1, mode='other')": "*modes 'token' and 'override'; got 'other'*",
    "login_as(1, scopes=['all'], mode='override')": "*takes neither scopes nor claims*",
    "login_as(1, current_user=len)": "*must be what make_current_user returned*",
    "login_as(1, tokens=TokenCodec(TokenConfig(secret_key=SECRET[::-1])))": "*refuses the token*",
}


def test_mistakes_are_explained(pytester: pytest.Pytester) -> None:
    """What cannot work fails at the call, and the message says what to write."""
    tests = [f"def test_{n}(client, login_as):\n    {call}\n" for n, call in enumerate(MISTAKES)]
    write(pytester, "\n".join(["from shop import *", *tests]))
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=len(MISTAKES))
    result.stdout.fnmatch_lines(list(MISTAKES.values()))


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ("", ", sources=[query_token()]", "*no header or cookie*mode='override'*"),
        (', issuer="a", audience="b", profile="rfc9068"', "", "*client_id*"),
    ],
)
def test_an_application_that_needs_more_says_so(
    pytester: pytest.Pytester, config: str, options: str, message: str
) -> None:
    """No place for a token, or a claim that this application's tokens must have."""
    test = "def test_it(client, login_as):\n    login_as(1)\n"
    write(pytester, test, options=options, imports="query_token,", config=config)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])


def test_a_test_without_a_client(pytester: pytest.Pytester) -> None:
    """A login that reaches no client would test nothing."""
    write(pytester, "def test_it(login_as):\n    login_as(1)\n")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*login_as needs the client of the test*"])


def test_an_application_without_users(pytester: pytest.Pytester) -> None:
    """No route has a current user, so there is nobody to be."""
    pytester.makepyfile(
        shop="from fastapi import FastAPI\napp = FastAPI()", test_it="def test_it(client, login_as):\n    login_as(1)\n"
    )
    configure(pytester)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no route of the application depends on a current user*"])


def test_tokens_of_an_issuer_elsewhere(pytester: pytest.Pytester) -> None:
    """The issuer's private key is the issuer's: a key that is made for the test signs, and nobody is asked."""
    pytester.makepyfile(
        shop="""
        from typing import Annotated, Any
        from fastapi import Depends, FastAPI, Security
        from fastapi_patterns import make_current_user
        from fastapi_patterns.auth import JWKSKeys

        tokens = JWKSKeys("https://id.example/keys", issuer="https://id.example", audience="shop")
        get_current_user = make_current_user(lambda claims: claims.sub, tokens=tokens)
        app = FastAPI()

        @app.get("/me")
        def me(user: Annotated[Any, Depends(get_current_user)]) -> str:
            return user

        @app.get("/reports")
        def reports(user: Annotated[Any, Security(get_current_user, scopes=["reports:read"])]) -> str:
            return user
        """,
        test_it="""
        kept = []

        def test_it(client, login_as, auth_headers, mock_http):
            with login_as("auth0|7", scopes=["reports:read"]) as login:
                assert client.get("/me").json() == "auth0|7"
                with login_as("auth0|9"):
                    assert client.get("/me").json() == "auth0|9"
                assert client.get("/reports").json() == "auth0|7"
            kept.append(login.headers)
            assert client.get("/me").status_code == 401
            assert client.get("/reports", headers=auth_headers("8")).status_code == 403
            assert len(mock_http.calls) == 0

        def test_that_it_is_over(client, mock_http):
            mock_http.add("GET", "https://id.example/keys", status=500)
            assert client.get("/me", headers=kept[0]).status_code == 503

        def test_the_real_issuer(client, mock_http, frozen_clock):
            frozen_clock.tick(11)  # it stands at the second in which the test began
            mock_http.add("GET", "https://id.example/keys", status=500)
            token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUifQ.AAAA"
            assert client.get("/me", headers={"Authorization": f"Bearer {token}"}).status_code == 503
        """,
    )
    configure(pytester, addopts="-p no:cacheprovider")
    pytester.runpytest_subprocess().assert_outcomes(passed=3)
