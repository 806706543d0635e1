"""JWKSKeys: which keys are taken, when they are fetched, and what happens while they cannot be."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns import (
    Claims,
    ConfigurationError,
    HttpClient,
    Key,
    KeySet,
    TokenCodec,
    TokenConfig,
    install_stack,
    make_current_user,
)
from fastapi_patterns.auth import JWKSKeys, KeysUnavailableError
from fastapi_patterns.security import (
    TokenClaimsError,
    TokenError,
    TokenMalformedError,
    TokensByIssuer,
    TokenSignatureError,
)

ISSUER, API = "https://id.example/", "shop-api"
URL = "https://id.example/jwks.json"
START = datetime(2026, 1, 1, tzinfo=UTC)
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ONE, TWO = Key(RSA, "RS256", "one"), Key.generate("ES256", kid="two")
Handler = Callable[[httpx2.Request], Any]


class Issuer:
    """An identity provider: what it publishes, and how often it was asked."""

    def __init__(self, *keys: Key) -> None:
        self.moment = START
        self.document: Any = {"keys": [key.public_jwk() for key in keys]}
        self.headers: dict[str, str] = {}
        self.status = 200
        self.asked = 0
        self.gate: asyncio.Event | None = None
        self.broken: Exception | None = None

    def now(self) -> datetime:
        """The time that everybody has."""
        return self.moment

    def wait(self, **delta: float) -> None:
        """Let time pass."""
        self.moment += timedelta(**delta)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        assert str(request.url) == URL
        if self.gate is not None:
            await self.gate.wait()
        if self.broken is not None:
            raise self.broken
        content = self.document if isinstance(self.document, bytes) else json.dumps(self.document).encode()
        return httpx2.Response(self.status, headers=self.headers, content=content)

    def tokens(self, **options: Any) -> JWKSKeys:
        """What checks this issuer's tokens."""
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        given = {"issuer": ISSUER, "audience": API, "client": client, "now": self.now, "algorithms": ["RS256", "ES256"]}
        return JWKSKeys(URL, **{**given, **options})

    def sign(self, key: Key = ONE, *, issuer: str = ISSUER, audience: str = API) -> str:
        """Make a token."""
        config = TokenConfig(keys=key, issuer=issuer, audience=audience, expires_delta=timedelta(days=30))
        return TokenCodec(config, now=self.now).encode({"sub": "7"})


async def check(tokens: Any, token: str) -> Claims:
    """Check a token as an application does."""
    await tokens.prepare(token)
    found = tokens.decode(token)
    assert isinstance(found, Claims)
    return found


def run(tokens: JWKSKeys, *signed: str) -> list[Any]:
    """Check tokens one after the other: the subject, or the class of the refusal."""

    async def main() -> list[Any]:
        results: list[Any] = []
        for token in signed:
            try:
                results.append((await check(tokens, token)).sub)
            except (TokenError, KeysUnavailableError) as error:
                results.append(type(error))
            if tokens._fetching is not None:
                await tokens._fetching
        return results

    return asyncio.run(main())


def test_the_keys_are_fetched_once() -> None:
    """With the first token; the others of either key need no fetch."""
    issuer = Issuer(ONE, TWO)
    assert run(issuer.tokens(), issuer.sign(), issuer.sign(TWO), issuer.sign()) == ["7", "7", "7"]
    assert issuer.asked == 1


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("", 300),
        ("public, max-age=600", 600),
        ('Max-Age="700"', 700),
        ("max-age=0", 60),
        ("no-store, max-age=900", 60),
        ("no-cache", 60),
        ("max-age=999999999", 86_400),
        ("max-age=soon", 300),
    ],
)
def test_they_are_kept_as_long_as_the_issuer_says(cache_control: str, seconds: int) -> None:
    """Within a minute and a day, five minutes where nothing is said; then they are fetched beside the request."""
    issuer = Issuer(ONE)
    issuer.headers = {"Cache-Control": cache_control}
    tokens, token = issuer.tokens(), issuer.sign()
    run(tokens, token)
    issuer.wait(seconds=seconds - 1)
    assert (run(tokens, token), issuer.asked) == (["7"], 1)
    issuer.wait(seconds=1)
    assert (run(tokens, token), issuer.asked) == (["7"], 2)
    assert (run(tokens, token), issuer.asked) == (["7"], 2)


def test_a_new_key_is_found() -> None:
    """A token of a key that is not known has them fetched again; the old key is gone then."""
    issuer = Issuer(ONE)
    tokens = issuer.tokens()
    run(tokens, issuer.sign())
    issuer.document = {"keys": [TWO.public_jwk()]}
    issuer.wait(seconds=10)
    assert run(tokens, issuer.sign(TWO)) == ["7"]
    assert run(tokens, issuer.sign(ONE)) == [TokenSignatureError]
    assert issuer.asked == 2


def test_made_up_names_cause_no_flood() -> None:
    """A thousand of them in ten seconds: one fetch; and the ones that are known go on."""
    issuer = Issuer(ONE)
    tokens = issuer.tokens()
    forged = [issuer.sign(Key(RSA, "RS256", f"made-up-{number}")) for number in range(100)]
    run(tokens, issuer.sign())
    issuer.wait(seconds=10)
    assert set(run(tokens, *forged)) == {TokenSignatureError}
    assert run(tokens, issuer.sign()) == ["7"]
    assert issuer.asked == 2


def test_fifty_requests_wait_for_one_fetch() -> None:
    """The first of them is cancelled meanwhile, and the others have the keys."""
    issuer = Issuer(ONE)
    tokens, token = issuer.tokens(), issuer.sign()

    async def main() -> list[Any]:
        issuer.gate = asyncio.Event()
        waiting = [asyncio.create_task(check(tokens, token)) for _ in range(50)]
        while not issuer.asked:  # noqa: ASYNC110  # the issuer is no part of the test
            await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        issuer.gate.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    cancelled, *others = asyncio.run(main())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert [claims.sub for claims in others] == ["7"] * 49
    assert issuer.asked == 1


def test_the_next_event_loop_fetches_for_itself() -> None:
    """A fetch that a loop took with it is nobody's."""
    issuer = Issuer(ONE)
    tokens, token = issuer.tokens(), issuer.sign()

    async def begin() -> None:
        issuer.gate = asyncio.Event()
        waiting = asyncio.create_task(check(tokens, token))
        while not issuer.asked:  # noqa: ASYNC110  # the issuer is no part of the test
            await asyncio.sleep(0)
        waiting.cancel()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()  # with the fetch in it, as some servers and tests do
    issuer.gate = None
    issuer.wait(seconds=10)
    assert run(tokens, token) == ["7"]


def broken(issuer: Issuer, how: Any) -> None:
    """Let an issuer fail."""
    if isinstance(how, int):
        issuer.status = how
    elif isinstance(how, Exception):
        issuer.broken = how
    else:
        issuer.document = how


BROKEN = {
    "status": 500,
    "redirect": 302,
    "network": httpx2.ConnectError("secret"),
    "html": b"<html>secret</html>",
    "no set": {"kty": "RSA", "secret": 1},
    "a list": [],
    "no list": {"keys": {"secret": 1}},
    "no keys": {"keys": []},
    "nested": b"[" * 100_000,
    "huge": b'{"keys": "' + b"secret" * 100_000 + b'"}',
    "many": {"keys": [ONE.public_jwk()] * 101},
}


@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN)
def test_old_keys_are_used_while_there_are_no_new_ones(how: Any, caplog: pytest.LogCaptureFixture) -> None:
    """For an hour; then tokens are refused for now, and are good again when the issuer is back."""
    issuer = Issuer(ONE)
    tokens, token = issuer.tokens(), issuer.sign()
    run(tokens, token)
    working = issuer.document
    broken(issuer, how)
    issuer.wait(minutes=5)
    assert run(tokens, token, token) == ["7", "7"]
    assert issuer.asked == 2
    issuer.wait(minutes=59)
    assert run(tokens, token) == ["7"]
    issuer.wait(minutes=2)
    assert run(tokens, token) == [KeysUnavailableError]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == issuer.asked - 1
    assert all(line.startswith(f"The keys of {ISSUER} could not be fetched: ") for line in warnings)
    assert "secret" not in caplog.text
    issuer.status, issuer.broken, issuer.document = 200, None, working
    issuer.wait(seconds=10)
    assert run(tokens, token, token)[-1] == "7"


def test_an_issuer_that_is_away_from_the_start() -> None:
    """Refused for now, with one fetch in ten seconds; the application starts all the same."""
    issuer = Issuer(ONE)
    issuer.status = 503
    tokens, token = issuer.tokens(), issuer.sign()
    assert run(tokens, token, token) == [KeysUnavailableError] * 2
    assert issuer.asked == 1
    issuer.status = 200
    issuer.wait(seconds=10)
    assert run(tokens, token) == ["7"]


def test_a_slow_issuer_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch that does not end is a fetch that failed."""
    monkeypatch.setattr("fastapi_patterns.auth.jwks_keys._TIMEOUT_S", 0.01)
    issuer = Issuer(ONE)
    tokens = issuer.tokens()

    async def main() -> None:
        issuer.gate = asyncio.Event()
        with pytest.raises(KeysUnavailableError):
            await check(tokens, issuer.sign())

    asyncio.run(main())


def jwk(**changes: Any) -> dict[str, Any]:
    """The public key, with something wrong about it."""
    found = {**ONE.public_jwk(), **changes}
    return {name: value for name, value in found.items() if value is not None}


def secret_jwk() -> dict[str, str]:
    """An HMAC secret where public keys should be."""
    return {"kty": "oct", "k": base64.urlsafe_b64encode(b"s" * 32).decode().rstrip("="), "kid": "one", "alg": "HS256"}


def private_jwk() -> dict[str, str]:
    """A private key that is published."""
    numbers = RSA.private_numbers()

    def text(number: int) -> str:
        return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).decode().rstrip("=")

    private = {"d": numbers.d, "p": numbers.p, "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1}
    return {**jwk(), **{name: text(number) for name, number in {**private, "qi": numbers.iqmp}.items()}}


@pytest.mark.parametrize(
    "unusable",
    [
        jwk(use="enc"),
        jwk(key_ops=["encrypt"]),
        jwk(alg="RSA-OAEP"),
        jwk(alg="RS512"),
        jwk(alg="HS256"),
        jwk(alg=["RS256"]),
        jwk(n="AQAB"),
        jwk(kty="oct", alg=None),
        jwk(kty="EC"),
        secret_jwk(),
        private_jwk(),
        "text",
        None,
    ],
    ids=["encryption", "operations", "other-use", "other-algorithm", "hmac", "list", "weak", "oct", "type", "secret",
         "private", "text", "null"],
)  # fmt: skip
def test_keys_that_cannot_be_used_are_left_out(unusable: Any) -> None:
    """The others of the set are still good, and a token of the one that was left out is refused."""
    issuer = Issuer()
    issuer.document = {"keys": [unusable, TWO.public_jwk()]}
    assert run(issuer.tokens(), issuer.sign(TWO), issuer.sign(ONE)) == ["7", TokenSignatureError]


def test_a_key_without_an_algorithm_is_for_the_first_that_fits() -> None:
    """As some issuers publish them; and for no other."""
    issuer = Issuer()
    issuer.document = {"keys": [jwk(alg=None)]}
    pss = Key(RSA, "PS256", "one")
    first = issuer.tokens(algorithms=["ES256", "RS256", "PS256"])
    assert run(first, issuer.sign(ONE), issuer.sign(pss)) == ["7", TokenSignatureError]
    assert run(issuer.tokens(algorithms=["PS256"]), issuer.sign(pss)) == ["7"]


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "EdDSA"])
def test_a_curve_says_which_algorithm_fits(algorithm: str) -> None:
    """Whichever is listed first."""
    key = Key.generate(algorithm, kid="curve")
    issuer = Issuer()
    issuer.document = {"keys": [{name: value for name, value in key.public_jwk().items() if name != "alg"}]}
    for listed in (["ES256", "ES384", "ES512", "EdDSA"], ["EdDSA", "ES512", "ES384", "ES256"]):
        assert run(issuer.tokens(algorithms=listed), issuer.sign(key)) == ["7"]


@pytest.mark.parametrize("idle", [{"hours": 1, "minutes": 6}, {"days": 3}])
def test_the_first_token_after_a_quiet_night_is_good(idle: dict[str, float]) -> None:
    """Keys that are too old to be used are fetched again before they are missed: the issuer is well."""
    issuer = Issuer(ONE)
    tokens = issuer.tokens()
    run(tokens, issuer.sign())
    issuer.wait(**idle)
    assert run(tokens, issuer.sign()) == ["7"]
    assert issuer.asked == 2


def test_a_new_key_that_cannot_be_fetched_logs_nobody_out() -> None:
    """Whether its token is good cannot be told now; tokens of known keys go on."""
    issuer = Issuer(ONE)
    tokens = issuer.tokens()
    run(tokens, issuer.sign())
    issuer.status = 500
    issuer.wait(seconds=10)
    new = issuer.sign(TWO)
    assert run(tokens, new, new, issuer.sign()) == [KeysUnavailableError, KeysUnavailableError, "7"]
    assert issuer.asked == 2
    issuer.status, issuer.document = 200, {"keys": [ONE.public_jwk(), TWO.public_jwk()]}
    issuer.wait(seconds=10)
    assert run(tokens, new, issuer.sign(Key(RSA, "RS256", "made-up"))) == ["7", TokenSignatureError]


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    """Neither after a fetch that failed, nor with keys that would be fresh for a year."""
    issuer = Issuer(ONE)
    issuer.status = 500
    tokens = issuer.tokens()
    run(tokens, issuer.sign())
    issuer.status = 200
    issuer.wait(days=-1)
    assert run(tokens, issuer.sign()) == ["7"]
    issuer.document = {"keys": [TWO.public_jwk()]}
    issuer.wait(days=-365)
    assert run(tokens, issuer.sign(TWO)) == ["7"]
    issuer.wait(days=-365)
    assert run(tokens, issuer.sign(TWO)) == ["7"]
    assert issuer.asked == 4


@pytest.mark.parametrize("claim", ["at_hash", "c_hash"])
def test_an_id_token_is_no_access_token(claim: str) -> None:
    """Also where its audience is the API's."""
    issuer = Issuer(ONE)
    config = TokenConfig(keys=ONE, issuer=ISSUER, audience=API)
    token = TokenCodec(config, now=issuer.now).encode({"sub": "7", claim: "x"})
    assert run(issuer.tokens(), token) == [TokenClaimsError]


def test_an_algorithm_that_is_not_listed_causes_no_fetch() -> None:
    """Nothing that is published could verify it."""
    issuer = Issuer(ONE)
    hmac_signed = Key.from_secret("S3cr3t-of-the-tests-0123456789-abc", kid="made-up")
    assert (
        run(issuer.tokens(), issuer.sign(hmac_signed), issuer.sign(Key.generate("EdDSA"))) == [TokenSignatureError] * 2
    )
    assert issuer.asked == 0


def test_the_issuer_learns_of_no_request() -> None:
    """The fetch is for all who wait, and carries nobody's ids."""
    issuer = Issuer(ONE)
    sent: list[httpx2.Request] = []

    async def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return await issuer(request)

    upstream = HttpClient(transport=httpx2.MockTransport(answer), trusted_hosts=["id.example"])
    app = application(issuer.tokens(client=upstream))
    install_stack(app, resources=[upstream])
    with TestClient(app) as client:
        headers = {"Authorization": f"Bearer {issuer.sign()}", "X-Request-ID": "0123456789"}
        assert client.get("/me", headers=headers).json() == ISSUER + "7"
    assert [request.headers.get("X-Request-ID") for request in sent] == [None]


def test_a_client_that_is_not_open_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """With what to do."""
    issuer = Issuer(ONE)
    assert run(issuer.tokens(client=HttpClient()), issuer.sign()) == [KeysUnavailableError]
    assert "Pass it to install_stack" in caplog.text


def test_an_algorithm_that_is_not_listed_is_not_accepted() -> None:
    """Although the issuer publishes a key for it, and the signature is right."""
    other = Key(RSA, "RS512", "one")
    issuer = Issuer(other, TWO)
    assert run(issuer.tokens(), issuer.sign(other)) == [TokenSignatureError]
    assert run(issuer.tokens(algorithms=["RS512"]), issuer.sign(other)) == ["7"]


def test_a_redirect_is_not_followed() -> None:
    """Even by a client that follows them."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if str(request.url) == URL:
            return httpx2.Response(302, headers={"Location": "https://id.example/elsewhere"})
        return httpx2.Response(200, json={"keys": [ONE.public_jwk()]})

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), follow_redirects=True)
    issuer = Issuer(ONE)
    assert run(issuer.tokens(client=client), issuer.sign()) == [KeysUnavailableError]


def test_of_two_keys_with_one_name_the_first_counts() -> None:
    """A token cannot say which is meant."""
    issuer = Issuer(ONE, Key.generate("RS256", kid="one"))
    assert run(issuer.tokens(), issuer.sign()) == ["7"]


def test_the_public_key_is_no_secret() -> None:
    """A token that is signed with it as if it were one is refused (RFC 8725 section 2.1)."""
    issuer = Issuer(ONE)
    pem = RSA.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=")
    payload = issuer.sign().split(".")[1].encode()
    mac = base64.urlsafe_b64encode(hmac.digest(pem, header + b"." + payload, hashlib.sha256)).rstrip(b"=")
    assert run(issuer.tokens(), b".".join([header, payload, mac]).decode()) == [TokenSignatureError]


@pytest.mark.parametrize(
    ("token", "refusal"),
    [
        (lambda issuer: issuer.sign(issuer="https://other.example/"), TokenClaimsError),
        (lambda issuer: issuer.sign(issuer="https://id.example"), TokenClaimsError),
        (lambda _: "nonsense", TokenMalformedError),
        (lambda issuer: base64.urlsafe_b64encode(b'{"kid":1}').decode().rstrip("=") + issuer.sign()[36:], TokenError),
    ],
)
def test_nothing_is_fetched_for_what_is_none_of_the_issuers(token: Callable[[Issuer], str], refusal: Any) -> None:
    """Another issuer's token, or no token at all."""
    issuer = Issuer(ONE)
    assert issubclass(run(issuer.tokens(), token(issuer))[0], refusal)
    assert issuer.asked == 0


def test_a_kid_that_is_no_text() -> None:
    """Is malformed before it is looked up."""
    issuer = Issuer(ONE)
    header = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":[1]}').decode().rstrip("=")
    token = ".".join([header, *issuer.sign().split(".")[1:]])
    assert run(issuer.tokens(), token) == [TokenMalformedError]
    assert issuer.asked == 0


def test_a_single_key_is_for_tokens_without_a_name() -> None:
    """Where the issuer names neither its key nor its tokens' one."""
    issuer = Issuer()
    issuer.document = {"keys": [jwk(kid=None)]}
    named = issuer.sign(Key(RSA, "RS256", "whatever"))
    assert run(issuer.tokens(), named) == ["7"]
    assert issuer.asked == 1


def test_the_rules_are_those_of_a_codec() -> None:
    """Another audience, an expired token; an access token whose profile is asked for."""
    issuer = Issuer(ONE)
    old = issuer.sign()
    other = issuer.sign(audience="other")
    assert run(issuer.tokens(), other) == [TokenClaimsError]
    assert run(issuer.tokens(profile="rfc9068"), old) == [TokenClaimsError]
    issuer.wait(days=31)
    assert issubclass(run(issuer.tokens(), old)[0], TokenError)


def test_the_issuers_clock_may_differ_by_ten_seconds() -> None:
    """A token from the future of a clock that is slow is good at once, up to what `leeway` says."""
    issuer = Issuer(ONE)
    issuer.wait(seconds=10)
    token = issuer.sign()
    issuer.wait(seconds=-10)
    assert run(issuer.tokens(), token) == ["7"]
    assert run(issuer.tokens(leeway=timedelta(0)), token) == [TokenClaimsError]
    issuer.wait(seconds=-2)
    assert run(issuer.tokens(), token) == [TokenClaimsError]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "http://id.example/jwks.json"}, "must be https"),
        ({"url": "https://user:secret@id.example/"}, "must not hold a user and a password"),
        ({"url": "jwks.json"}, "must be the address of a JWK Set"),
        ({"url": None}, "must be the address of a JWK Set"),
        ({"algorithms": ["HS256"]}, "public-key ones"),
        ({"algorithms": ["none"]}, "public-key ones"),
        ({"algorithms": "RS256"}, "public-key ones"),
        ({"algorithms": ["RS256", "RS257"]}, "public-key ones"),
        ({"algorithms": ["ES"]}, "public-key ones"),
        ({"algorithms": []}, "public-key ones"),
        ({"audience": ""}, "needs the issuer and the audience"),
        ({"issuer": None}, "needs the issuer and the audience"),
        ({"min_interval": timedelta(0)}, "min_interval must be a second"),
        ({"max_stale": timedelta(-1)}, "max_stale must not be negative"),
        ({"leeway": timedelta(hours=1)}, "leeway must be"),
    ],
)
def test_what_is_not_safe_is_refused_at_the_start(changes: dict[str, Any], words: str) -> None:
    """With words, and without a password in them."""
    given = {"url": URL, "issuer": ISSUER, "audience": API, **changes}
    with pytest.raises(ConfigurationError, match=words) as refused:
        JWKSKeys(given.pop("url"), **given)
    assert "secret" not in str(refused.value)


def test_loopback_needs_no_tls() -> None:
    """An issuer on one's own machine; and what it is can be seen."""
    made = JWKSKeys("http://localhost:8080/jwks", issuer="http://localhost:8080", audience=API)
    assert repr(made) == "JWKSKeys('http://localhost:8080/jwks', issuer='http://localhost:8080')"
    with pytest.raises(ConfigurationError, match=r"await tokens.prepare\(token\)"):
        made.decode(Issuer().sign(issuer="http://localhost:8080"))


def application(tokens: Any) -> FastAPI:
    """An application with a protected route."""
    app = FastAPI()
    user = Annotated[Any, Depends(make_current_user(lambda claims: claims["iss"] + claims.sub, tokens=tokens))]

    @app.get("/me")
    async def me(user: user) -> str:  # type: ignore[valid-type]
        return user

    return app


def test_an_application_accepts_them(caplog: pytest.LogCaptureFixture) -> None:
    """200; a forged token 401; while there are no keys 503 with `Retry-After`, and the route does not run.

    The log has a line for each fetch that failed, and none for each request.
    """
    issuer = Issuer(ONE)
    app = application(issuer.tokens())
    with TestClient(app) as client:

        def me(token: str) -> httpx2.Response:
            return client.get("/me", headers={"Authorization": f"Bearer {token}"})

        assert me(issuer.sign()).json() == ISSUER + "7"
        assert me(issuer.sign(Key.generate("RS256", kid="one"))).status_code == 401
        issuer.status = 500
        issuer.wait(hours=2)
        for _ in range(3):
            answer = me(issuer.sign())
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    ours = [record for record in caplog.records if record.name.startswith("fastapi_patterns")]
    assert [record.levelname for record in ours if record.levelno >= logging.WARNING] == ["WARNING"]


def test_several_issuers_in_one_application() -> None:
    """Each token is checked with its own issuer's keys, and only that one is asked."""
    issuer, other = Issuer(ONE), Issuer(ONE)
    own = TokenCodec(TokenConfig(keys=TWO, issuer="https://shop.example", audience=API), now=issuer.now)
    theirs = other.tokens(issuer="https://other.example/")
    tokens = TokensByIssuer([own, issuer.tokens(), theirs])
    with TestClient(application(tokens)) as client:

        def me(token: str) -> Any:
            answer = client.get("/me", headers={"Authorization": f"Bearer {token}"})
            return answer.json() if answer.status_code == 200 else answer.status_code

        assert me(own.encode({"sub": "1"})) == "https://shop.example1"
        assert me(issuer.sign()) == ISSUER + "7"
        assert (issuer.asked, other.asked) == (1, 0)
        assert me(issuer.sign(issuer="https://nobody.example/")) == 401
        assert me(other.sign(issuer="https://other.example/")) == "https://other.example/7"
        assert (issuer.asked, other.asked) == (1, 1)


@pytest.mark.parametrize("kind", ["own", "HttpClient"])
def test_which_client_fetches(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is made for each fetch, or an HttpClient of the application's."""
    issuer = Issuer(ONE)

    async def handle(_: Any, request: httpx2.Request) -> httpx2.Response:
        return await issuer(request)

    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", handle)

    async def main() -> str:
        async with HttpClient() as shared:
            tokens = issuer.tokens(client=shared if kind == "HttpClient" else None)
            return (await check(tokens, issuer.sign())).sub

    assert asyncio.run(main()) == "7"
    assert issuer.asked == 1


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    """Half a megabyte is enough."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 10_000

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=endless())))
    issuer = Issuer(ONE)
    assert run(issuer.tokens(client=client), issuer.sign()) == [KeysUnavailableError]
    assert sent < 60


def test_login_as_has_a_key_of_its_own() -> None:
    """Tests sign with a key that is made for them; the issuer is not asked."""
    issuer = Issuer(ONE)
    tokens = issuer.tokens()
    codec, end = tokens._for_tests()
    assert run(tokens, codec.encode({"sub": "test"})) == ["test"]
    inner, end_inner = tokens._for_tests()
    assert run(tokens, codec.encode({"sub": "outer"}), inner.encode({"sub": "inner"})) == ["outer", "inner"]
    end_inner()
    assert run(tokens, codec.encode({"sub": "test"})) == ["test"]
    assert issuer.asked == 0
    assert run(tokens, issuer.sign()) == ["7"]
    end()
    assert run(tokens, codec.encode({"sub": "test"}), issuer.sign()) == [TokenSignatureError, "7"]
    only = issuer.tokens(algorithms=["RS256"])
    assert run(only, only._for_tests()[0].encode({"sub": "test"})) == ["test"]
    assert isinstance(tokens.keys, KeySet)
