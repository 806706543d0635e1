"""Tokens of several issuers: each is judged by its own codec alone."""

from typing import Any

import pytest

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import (
    Key,
    TokenClaimsError,
    TokenCodec,
    TokenConfig,
    TokenError,
    TokensByIssuer,
    TokenSignatureError,
)

A, B = (
    TokenCodec(TokenConfig(keys=Key.generate("ES256"), issuer=f"https://{name}.example", audience="shop"))
    for name in "ab"
)
SECRET = "S3cr3t-of-the-tests-0123456789-abc"


def test_each_token_goes_to_the_codec_of_its_issuer() -> None:
    """Whichever stands first."""
    for both in (TokensByIssuer([A, B]), TokensByIssuer([B, A])):
        for codec in (A, B):
            claims = both.decode(codec.encode({"sub": 7}))
            assert (claims["iss"], claims.sub) == (codec.config.issuer, "7")


def test_an_issuer_cannot_speak_for_another() -> None:
    """A token that names another issuer is judged by that one's keys."""
    forged = TokenCodec(TokenConfig(keys=A.keys, issuer="https://b.example", audience="shop")).encode({"sub": 7})
    with pytest.raises(TokenSignatureError):
        TokensByIssuer([A, B]).decode(forged)


@pytest.mark.parametrize("issuer", ["https://c.example", "https://a.example/", "HTTPS://A.EXAMPLE"])
def test_an_unknown_issuer_is_refused(issuer: str) -> None:
    """Names are compared exactly."""
    token = TokenCodec(TokenConfig(keys=A.keys, issuer=issuer, audience="shop")).encode({"sub": 7})
    with pytest.raises(TokenClaimsError, match="iss"):
        TokensByIssuer([A, B]).decode(token)


@pytest.mark.parametrize("token", ["", "a.b.c", "a" * 10_000, None, 7, "e30.e30.", "e30.W10.", "e30.eyJpc3MiOlsxXX0."])
def test_nonsense_is_a_token_error(token: Any) -> None:
    """As everywhere."""
    with pytest.raises(TokenError):
        TokensByIssuer([A, B]).decode(token)


@pytest.mark.parametrize(
    ("codecs", "problem"),
    [
        ([], "one codec or more"),
        ([A, A], "two codecs have the issuer"),
        ([TokenCodec(TokenConfig(secret_key=SECRET))], "an issuer of its own"),
        ([TokenCodec(TokenConfig(secret_key=SECRET, issuer=lambda: "x"))], "an issuer of its own"),
    ],
)
def test_codecs_that_cannot_be_told_apart_are_refused(codecs: list[TokenCodec], problem: str) -> None:
    """When the object is made."""
    with pytest.raises(ConfigurationError, match=problem):
        TokensByIssuer(codecs)
