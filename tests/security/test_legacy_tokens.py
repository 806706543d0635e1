"""Tokens of older code: accepted until a date, with each broken rule named, and never as anything else."""

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import pytest
from jose import jwt

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import (
    Argon2Params,
    InsecureLegacyTokens,
    Key,
    PasswordHasher,
    TokenClaimsError,
    TokenCodec,
    TokenConfig,
    TokenError,
    TokenExpiredError,
    TokenMalformedError,
    TokenSignatureError,
)

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
UNTIL = NOW + timedelta(days=30)
SECONDS = int(NOW.timestamp())
NEW_SECRET = "S3cr3t-of-the-tests-0123456789-abc"
OLD_SECRET = "twenty-bytes-secret!"
CONFIG = TokenConfig(secret_key=NEW_SECRET, issuer="https://issuer.example", audience="api")


def is_access(claims: Mapping[str, Any]) -> bool:
    """How the old code told its tokens apart."""
    return claims.get("type", "access") == "access"


async def awaited(claims: Mapping[str, Any]) -> bool:
    """Its call gives a coroutine, which is never True."""
    return True


class Awaited:
    """The same as an object."""

    async def __call__(self, claims: Mapping[str, Any]) -> bool:
        return True


def codec(at: datetime = NOW, config: TokenConfig = CONFIG, **relaxed: Any) -> TokenCodec:
    """A codec that takes old tokens too, all rules relaxed unless said otherwise."""
    settings: dict[str, Any] = {
        "secret": OLD_SECRET,
        "accept_until": UNTIL,
        "is_access": is_access,
        "short_secret": True,
        "int_subject": True,
        "missing_claims": ("iss", "aud"),
        "missing_exp": True,
        **relaxed,
    }
    return TokenCodec(config, also_accept=InsecureLegacyTokens(**settings), now=lambda: at)


def old(claims: dict[str, Any] | None = None, secret: str = OLD_SECRET, **headers: Any) -> str:
    """A token as python-jose wrote it."""
    values = {"sub": "7", "exp": SECONDS + 60} if claims is None else claims
    return jwt.encode(values, secret, "HS256", headers=headers or None)


def test_a_token_and_a_password_of_older_code_survive_the_move() -> None:
    """Nobody is logged out, and nobody has to set a new password."""
    assert codec().decode(old()).sub == "7"
    stored = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    assert PasswordHasher(Argon2Params.FOR_TESTS_ONLY).verify_and_update("correct horse", stored)[0]


def test_new_tokens_are_new_tokens() -> None:
    """They are written and read as ever."""
    reader = codec()
    claims = reader.decode(reader.encode({"sub": 8}))
    assert (claims.sub, claims["iss"]) == ("8", "https://issuer.example")


@pytest.mark.parametrize(
    ("claims", "rule", "strict"),
    [
        ({"sub": 7, "exp": SECONDS + 60}, "int_subject", False),
        ({"sub": "7", "exp": SECONDS + 60, "aud": "api"}, "missing_claims", ("aud",)),
        ({"sub": "7", "exp": SECONDS + 60, "iss": "https://issuer.example"}, "missing_claims", ("iss",)),
        ({"sub": "7"}, "missing_exp", False),
    ],
)
def test_each_relaxation_is_named(claims: dict[str, Any], rule: str, strict: object) -> None:
    """With it the token passes, without it the rule holds."""
    assert codec().decode(old(claims)).sub == "7"
    with pytest.raises(TokenClaimsError):
        codec(NOW, CONFIG, **{rule: strict}).decode(old(claims))


@pytest.mark.parametrize("claims", [{"iss": "https://other.example"}, {"aud": "other"}, {"aud": 7}, {"exp": "soon"}])
def test_a_claim_that_is_there_is_checked(claims: dict[str, Any]) -> None:
    """Only its absence is forgiven."""
    token = f"{part({'alg': 'HS256'})}.{part({'sub': '7', 'exp': SECONDS + 60, **claims})}"
    with pytest.raises(TokenClaimsError):
        codec().decode(f"{token}.{signature(token)}")


def test_a_short_secret_must_be_named() -> None:
    """Without `short_secret` it is refused when it is configured."""
    with pytest.raises(ConfigurationError, match=r"at least 32 bytes.*say short_secret=True") as caught:
        codec(short_secret=False)
    assert "Make one" not in str(caught.value)


@pytest.mark.parametrize("kind", ["refresh", "reset"])
def test_old_tokens_of_other_kinds_stay_out(kind: str) -> None:
    """The application's own test says which are access tokens; anything but True is no."""
    with pytest.raises(TokenMalformedError, match=r"another type .* is_access did not"):
        codec().decode(old({"sub": "7", "exp": SECONDS + 60, "type": kind}))
    with pytest.raises(TokenMalformedError, match=r"another type .* is_access did not"):
        codec(is_access=lambda claims: "yes").decode(old())
    with pytest.raises(TokenMalformedError, match=r"another type .* is_access did not"):
        codec(is_access=lambda claims: claims["type"] == "access").decode(old())


def test_old_tokens_are_no_refresh_tokens() -> None:
    """They are taken for access tokens only."""
    with pytest.raises(TokenError):
        codec().decode(old(), kind="refresh")


@pytest.mark.parametrize("headers", [{"kid": "a"}, {"typ": "at+jwt"}, {"typ": "rt+jwt"}, {"typ": 7}])
def test_a_token_of_the_new_form_is_no_old_one(headers: dict[str, Any]) -> None:
    """What has a `kid` or a type of its own is judged by the rules for new tokens."""
    with pytest.raises((TokenSignatureError, TokenMalformedError)):
        codec().decode(old(None, **headers))


def test_the_date_ends_it() -> None:
    """Tokens without `exp` end then, and those that live longer are refused afterwards."""
    endless, long = old({"sub": "7"}), old({"sub": "7", "exp": SECONDS + 10**8})
    before, after = codec(UNTIL - timedelta(seconds=1)), codec(UNTIL)
    assert before.decode(endless).expires_at == UNTIL
    assert before.decode(long).sub == "7"
    for token in (endless, long):
        with pytest.raises(TokenError):
            after.decode(token)


def test_an_old_token_expires() -> None:
    """As a new one does; `decode_expired` reads it."""
    token = old({"sub": "7", "exp": SECONDS})
    with pytest.raises(TokenExpiredError):
        codec().decode(token)
    assert codec().decode_expired(token, max_age=timedelta(seconds=1)).sub == "7"


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + "=",
        lambda token: token.rsplit(".", 1)[0] + "." + "A" * 43,
        lambda token: f"{part({'alg': 'none'})}.{token.split('.')[1]}.",
        lambda token: f"{part({'alg': 'HS256', 'crit': ['a']})}.{token.split('.')[1]}.{token.split('.')[2]}",
        lambda token: token + "A" * 9000,
    ],
)
def test_the_rules_of_form_stay(change: Any) -> None:
    """Size, base64, algorithm, extensions and signature."""
    with pytest.raises(TokenError):
        codec().decode(change(old()))


def test_the_start_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """A warning names the date and what is relaxed, and holds no secret."""
    with caplog.at_level(logging.WARNING, "fastapi_patterns.security"):
        codec(missing_claims=("aud",))
    said = caplog.records[-1].getMessage()
    assert said == (
        "tokens of older code are accepted until 2030-01-31T12:00:00+00:00; "
        "relaxed: short_secret, int_subject, missing_exp, missing aud"
    )


def test_the_start_says_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """After the date the description does nothing, and can go."""
    with caplog.at_level(logging.WARNING, "fastapi_patterns.security"):
        codec(at=UNTIL)
    assert caplog.records[-1].getMessage() == (
        "tokens of older code were accepted until 2030-01-31T12:00:00+00:00, which has passed: delete also_accept"
    )


@pytest.mark.parametrize("accepted", [[], ["secret"], "secret", {}])
def test_one_description_is_accepted(accepted: Any) -> None:
    """And not a list of them."""
    with pytest.raises(ConfigurationError, match="also_accept takes one InsecureLegacyTokens"):
        TokenCodec(CONFIG, also_accept=accepted)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"accept_until": NOW.replace(tzinfo=None)}, "with a time zone"),
        ({"accept_until": "2031"}, "with a time zone"),
        ({"is_access": True}, "is_access must be a function"),
        ({"is_access": awaited}, "is_access must be .* no async one"),
        ({"is_access": Awaited()}, "is_access must be .* no async one"),
        ({"missing_claims": "iss"}, "missing_claims must be of"),
        ({"missing_claims": ("exp",)}, "missing_claims must be of"),
        ({"subject_claims": "sub"}, "subject_claims must be a sequence"),
        ({"subject_claims": ()}, "subject_claims must be a sequence"),
        ({"secret": ""}, "is empty"),
        ({"secret": "-----BEGIN PUBLIC KEY-----"}, "is a public key"),
        ({"algorithm": "RS256"}, "needs a key such as"),
        ({"algorithm": "none"}, "algorithm must be one of"),
    ],
)
def test_a_description_that_cannot_be_is_refused(settings: dict[str, Any], problem: str) -> None:
    """When it is made."""
    with pytest.raises(ConfigurationError, match=problem):
        codec(**settings)


def test_their_subject_may_stand_elsewhere() -> None:
    """In a claim of the old code's own, read under the same name as ever."""
    token = old({"user_id": 7, "exp": SECONDS + 60})
    assert codec(subject_claims=("user_id",)).decode(token).int_sub == 7


def test_no_repr_shows_the_secret() -> None:
    """Nor does the configuration print it."""
    made = InsecureLegacyTokens(secret=OLD_SECRET, accept_until=UNTIL, is_access=is_access, short_secret=True)
    assert OLD_SECRET not in repr(made)


def part(value: object) -> str:
    """One part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signature(signed: str) -> str:
    """The signature of the old secret."""
    made = hmac.new(OLD_SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def test_a_token_without_kid_of_another_algorithm_is_no_old_one() -> None:
    """A token of another issuer's key pair, with the type JWT and no kid, is still read with the key of the codec."""
    key = Key.generate("ES256")
    header, payload = {"alg": "ES256", "typ": "JWT"}, {"sub": "7", "exp": SECONDS + 60}
    signed = f"{part(header)}.{part(payload)}"
    token = f"{signed}.{base64.urlsafe_b64encode(key.sign(signed.encode())).rstrip(b'=').decode()}"
    both = codec(config=TokenConfig(keys=key), missing_claims=())
    assert both.decode(token).sub == "7"
    assert both.decode(old()).sub == "7"
