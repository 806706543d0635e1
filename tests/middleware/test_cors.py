"""CORS: settings that would be dangerous do not start, the others do what they say."""

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient
from pydantic import AnyHttpUrl, BaseModel

from fastapi_patterns import ConfigurationError, ConfigurationWarning, install_cors
from fastapi_patterns.middleware._origin_regex import slips

APP, FOREIGN = "https://app.example", "https://evil.example"


def client_of(**settings: Any) -> TestClient:
    """A client of an application with CORS."""
    app = FastAPI()
    install_cors(app, **settings)

    @app.get("/")
    def root() -> str:
        return "in"

    return TestClient(app)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"allow_origins": ["*"], "allow_credentials": True}, "would let every website act as the user"),
        ({"allow_origins": [APP, "*"], "allow_credentials": True}, "would let every website act as the user"),
        ({"allow_origins": ["null"], "allow_credentials": True}, "any sandboxed page has it"),
        ({"allow_origins": APP}, "allow_origins must be a list"),
        ({"allow_origins": [APP], "allow_methods": "GET"}, "allow_methods must be a list"),
        ({"allow_origins": APP.encode()}, "allow_origins must be a list"),
        ({"allow_origins": [APP], "allow_headers": "Authorization"}, "allow_headers must be a list"),
        ({"allow_origins": [APP], "expose_headers": "X-Request-ID"}, "expose_headers must be a list"),
        ({"allow_origins": [f"{APP}/path"]}, "without a path"),
        ({"allow_origins": [f"{APP}//"]}, "without a path"),
        ({"allow_origins": [f"{APP}\n"]}, "without a path"),
        ({"allow_origins": [f"{APP}, {FOREIGN}"]}, "without a path"),
        ({"allow_origins": ["https://*"]}, "scheme://host"),
        ({"allow_origins": [None]}, "scheme://host"),
        ({"allow_origins": ["app.example"]}, "scheme://host"),
        ({"allow_origins": ["http://*"]}, "any site at all is"),
        ({"allow_origins": [""]}, "scheme://host"),
        ({"allow_origins": [f"{APP}?x"]}, "scheme://host"),
        ({"allow_origins": ["https://user@app.example"]}, "scheme://host"),
        ({"allow_origins": [f"{APP}:65536"]}, "a number from 1 to 65535"),
        ({"allow_origins": [f"{APP}:0"]}, "a number from 1 to 65535"),
        ({"allow_origins": None}, "allow_origins must be a list; got None"),
        ({"allow_origins": []}, "nobody would be allowed"),
        ({}, "nobody would be allowed"),
        ({"allow_origins": [APP], "allow_credentials": "false"}, "must be True or False; got 'false'"),
        ({"allow_origins": [APP], "max_age_s": -1}, "0 or more; got -1"),
        ({"allow_origins": [APP], "max_age_s": 1.5}, "whole number of seconds, 0 or more; got 1.5"),
        ({"allow_origins": [APP], "max_age_s": True}, "got True"),
        ({"allow_origins": [APP], "max_age_s": "600"}, "got '600'"),
        ({"allow_origin_regex": "https://(app"}, "is no regular expression: missing"),
        ({"allow_origin_regex": ""}, "must be a regular expression as a string, or None; got ''"),
        ({"allow_origin_regex": re.compile("x")}, "must be a regular expression as a string"),
        ({"allow_origin_regex": r"https://app\.example/"}, "does not end with a slash"),
    ],
)
def test_dangerous_settings_do_not_start(settings: dict[str, Any], problem: str) -> None:
    """The message says what is wrong and, where it helps, what to write."""
    with pytest.raises(ConfigurationError, match=problem):
        install_cors(FastAPI(), **settings)


@pytest.mark.parametrize(
    "origin", [APP, f"{APP}/", AnyHttpUrl(APP), "HTTPS://App.Example"], ids=["plain", "slash", "pydantic", "case"]
)
def test_an_allowed_origin_may_read(origin: object) -> None:
    """Also when it was written with a slash, by pydantic, or in capitals."""
    answer = client_of(allow_origins=[origin], allow_credentials=True).get("/", headers={"Origin": APP})
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-expose-headers"] == "X-Request-ID"
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", [FOREIGN, "https://app.example.evil", "http://app.example", "null", "https://app"])
def test_a_foreign_origin_may_not(origin: str) -> None:
    """No prefix, no suffix, no other scheme."""
    client = client_of(allow_origins=[APP], allow_credentials=True)
    assert "access-control-allow-origin" not in client.get("/", headers={"Origin": origin}).headers
    preflight = client.options("/", headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers


@pytest.mark.parametrize(
    "origin", ["http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:8080", "capacitor://localhost"]
)
def test_origins_of_development_and_apps(origin: str) -> None:
    """Ports, addresses and an app's own scheme are origins too."""
    answer = client_of(allow_origins=[origin]).get("/", headers={"Origin": origin})
    assert answer.headers["access-control-allow-origin"] == origin


def test_a_preflight_answers_what_is_allowed() -> None:
    """Any method, the usual headers, and nothing else."""
    client = client_of(allow_origins=[APP])
    asked = {"Origin": APP, "Access-Control-Request-Method": "PATCH"}
    answer = client.options("/", headers={**asked, "Access-Control-Request-Headers": "authorization, content-type"})
    assert answer.status_code == 200
    assert answer.headers["access-control-max-age"] == "600"
    assert client.options("/", headers={**asked, "Access-Control-Request-Headers": "x-evil"}).status_code == 400


def test_anybody_may_read_what_is_public() -> None:
    """A wildcard without credentials is a public API's choice."""
    assert (
        client_of(allow_origins=["*"]).get("/", headers={"Origin": FOREIGN}).headers["access-control-allow-origin"]
        == "*"
    )


@pytest.mark.parametrize(
    ("entry", "regex", "meant"),
    [
        ("https://*.example.com", r"https://[a-z0-9-]+\.example\.com", "https://shop.example.com"),
        ("*.example.com", r"https://[a-z0-9-]+\.example\.com", "https://shop.example.com"),
        ("https://pr-*.app.example", r"https://pr-[a-z0-9-]+\.app\.example", "https://pr-17.app.example"),
        ("http://localhost:*", r"http://localhost:\d+", "http://localhost:5173"),
    ],
)
def test_a_wildcard_inside_an_origin_is_refused(entry: str, regex: str, meant: str) -> None:
    """Starlette would never match it: the message has the regex to write, and that one does what was meant."""
    with pytest.raises(ConfigurationError, match=re.escape(f"never matches; write allow_origin_regex=r'{regex}'")):
        install_cors(FastAPI(), allow_origins=[entry])
    client = client_of(allow_origin_regex=regex, allow_credentials=True)
    assert client.get("/", headers={"Origin": meant}).headers["access-control-allow-origin"] == meant
    assert "access-control-allow-origin" not in client.get("/", headers={"Origin": f"{meant}.evil"}).headers


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://app.example:443", "https://app.example"),
        ("HTTP://App.Example:080", "http://app.example"),
        ("https://app.example:80", "https://app.example:80"),
        ("http://localhost:05173", "http://localhost:5173"),
        ("https://[::1]:443", "https://[::1]"),
        (AnyHttpUrl("https://bücher.example:443"), "https://xn--bcher-kva.example"),
    ],
    ids=str,
)
def test_an_origin_is_written_as_browsers_send_it(written: object, sent: str) -> None:
    """The scheme's own port is left out, a port has no leading zeros, and pydantic writes letters as ASCII."""
    answer = client_of(allow_origins=[written]).get("/", headers={"Origin": sent})
    assert answer.headers["access-control-allow-origin"] == sent


def test_letters_outside_ascii_are_refused() -> None:
    """Browsers send the ASCII form, which the message shows; a look-alike letter shows too."""
    with pytest.raises(ConfigurationError, match=r"ASCII form: write 'https://xn--bcher-kva\.example'; got"):
        install_cors(FastAPI(), allow_origins=["https://bücher.example"])
    with pytest.raises(ConfigurationError, match="ASCII form: write 'https://xn--"):
        install_cors(FastAPI(), allow_origins=["https://\u0430pp.example"])
    with pytest.raises(ConfigurationError, match="ASCII form; got"):
        install_cors(FastAPI(), allow_origins=["bücher"])


def test_origins_of_a_settings_object() -> None:
    """A list of pydantic URLs, as settings hold it, and a regex beside it."""

    class Settings(BaseModel):
        cors_origins: list[AnyHttpUrl]
        cors_origin_regex: str | None = None

    settings = Settings.model_validate(
        {"cors_origins": [APP, "http://localhost:5173"], "cors_origin_regex": r"https://pr-\d+\.app\.example"}
    )
    client = client_of(
        allow_origins=settings.cors_origins,
        allow_origin_regex=settings.cors_origin_regex,
        allow_credentials=True,
    )
    for origin in (APP, "http://localhost:5173", "https://pr-17.app.example"):
        answer = client.get("/", headers={"Origin": origin})
        assert (answer.status_code, answer.json()) == (200, "in")
        assert answer.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-origin" not in client.get("/", headers={"Origin": FOREIGN}).headers


DOT, BEFORE, END = "not escaped matches any character", "before a letter also matches", "at the end also matches"


@pytest.mark.parametrize(
    ("regex", "words", "safer", "let_in"),
    [
        (r"https://app.example.com", DOT, r"https://app\.example\.com", "https://appxexample.com"),
        (r"https://app\.example.com", DOT, r"https://app\.example\.com", "https://app.examplexcom"),
        (r"https://app.(?:com|org)", DOT, r"https://app\.(?:com|org)", "https://appxcom"),
        (r"https://www.?example\.com", DOT, r"https://www\.?example\.com", "https://wwwxexample.com"),
        (r"https://app.[a-z]+\.com", DOT, r"https://app\.[a-z]+\.com", "https://appxevil.com"),
        (r"https://.*example\.com", BEFORE, r"https://(?:[a-z0-9-]+\.)*example\.com", "https://evilexample.com"),
        (r"https://.+?example\.com", BEFORE, r"https://(?:[a-z0-9-]+\.)+example\.com", "https://evilexample.com"),
        (r".*example\.com", BEFORE, r"https://(?:[a-z0-9-]+\.)*example\.com", "https://evilexample.com"),
        (r"https://(.*)example\.com", BEFORE, r"https://((?:[a-z0-9-]+\.)*)example\.com", "https://evilexample.com"),
        (r"https://(.*|x\.)a\.com", BEFORE, r"https://((?:[a-z0-9-]+\.)*|x\.)a\.com", "https://evila.com"),
        (
            r"https://.*(?:www\.)?a\.com",
            BEFORE,
            r"https://(?:[a-z0-9-]+\.)*(?:www\.)?a\.com",
            "https://evila.com",
        ),
        (r"https://.*(\.x|a)\.com", BEFORE, r"https://(?:[a-z0-9-]+\.)*(\.x|a)\.com", "https://evila.com"),
        (r"https://[\w-]+a\.com", BEFORE, r"https://(?:[a-z0-9-]+\.)+a\.com", "https://evila.com"),
        (r"https://pr-.*app\.a\.com", BEFORE, r"https://pr-[a-z0-9-]*app\.a\.com", "https://pr-/app.a.com"),
        (r"https://.{0,}a\.com", BEFORE, r"https://(?:[a-z0-9-]+\.)*a\.com", "https://evila.com"),
        (r"https://app\.com.*", END, r"https://app\.com(?::\d+)?", "https://app.com.evil"),
    ],
)
def test_a_regex_that_lets_in_more_than_it_seems_warns(regex: str, words: str, safer: str, let_in: str) -> None:
    """At the line of the call, with an expression that does not match what got in and gives no warning."""
    with pytest.warns(ConfigurationWarning, match=re.escape(f"Write r'{safer}'")) as caught:
        install_cors(FastAPI(), allow_origin_regex=regex)
    assert len(caught) == 1
    assert words in str(caught[0].message)
    assert Path(caught[0].filename) == Path(__file__)
    assert re.fullmatch(regex, let_in)
    assert not re.fullmatch(safer, let_in)
    assert slips(safer) == ([], safer)


@pytest.mark.parametrize(
    "regex",
    [
        r"https://app\.example\.com",
        r"https://app[.]example[.]com",
        r"https://[]a.]+\.example\.com",
        r"https://.*\.example\.com",
        r"https://(.*\.)?example\.com",
        r"https://(?:.+\.|)example\.com",
        r"https://[^.]+\.example\.com",
        r"https://(?P<pr>pr-\d+)\.example\.com",
        r"^https?://(?#any port)localhost(:\d{1,5})?$",
        r"(?i)https://app\.example\.com|http://localhost:.*",
        r"https://app-[a-z]*preview\.example\.com",
        r"https://...\.example\.com",
        r"https://[a-z]{2}\.example\.com",
    ],
)
def test_a_careful_regex_says_nothing(regex: str) -> None:
    """Escapes, classes, groups and repeats before an escaped dot are understood, also with credentials."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        app = FastAPI()
        install_cors(app, allow_origin_regex=regex, allow_credentials=True)
    assert app.user_middleware[0].kwargs["allow_origin_regex"] == regex


@pytest.mark.parametrize(
    ("regex", "stranger"),
    [
        (r".*", "null"),
        (r"https?://.*", "https://evil.example"),
        (r"http://[^/]+", "http://evil.example"),
        (r"https://[a-z.]+\.(com|org)", "https://evil.com"),
        (r"https://.*:3000", "https://evil.example:3000"),
        (r"https://app\.example|null", "null"),
    ],
)
def test_a_regex_for_everybody_with_credentials_does_not_start(regex: str, stranger: str) -> None:
    """Any website could act as the user; the message names one. Without credentials it is a public API's choice."""
    with pytest.raises(ConfigurationError, match=re.escape(f"act as the user: it matches '{stranger}'")):
        install_cors(FastAPI(), allow_origin_regex=regex, allow_credentials=True)
    answer = client_of(allow_origin_regex=regex).get("/", headers={"Origin": stranger})
    assert answer.headers["access-control-allow-origin"] == stranger
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(("own", "vary"), [(None, "Origin"), ("Accept-Encoding", "Accept-Encoding, Origin")])
def test_an_answer_to_nobody_in_particular_varies_by_origin(own: str | None, vary: str) -> None:
    """Without an Origin there is no permission, but a cache must not hand the answer to a browser elsewhere."""
    app = FastAPI()
    install_cors(app, allow_origins=["https://app.example"])

    @app.get("/vary")
    def route(response: Response) -> str:
        if own:
            response.headers["Vary"] = own
        return "fine"

    answer = TestClient(app).get("/vary")
    assert answer.headers.get_list("vary") == [vary]
    assert not [name for name in answer.headers if name.startswith("access-control")]
