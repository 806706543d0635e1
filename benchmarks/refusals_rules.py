"""What a token or a key must not be, each as something that can be tried: a set-up and a token for it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.refusals_libraries import Setup
from benchmarks.refusals_tokens import (
    SECRET,
    Sign,
    Trial,
    brings_its_key,
    broken_line,
    claims_with_raw,
    claims_with_twice,
    claims_without,
    confused,
    deep_header,
    der_signature,
    good,
    good_claims,
    hmac_with,
    in_an_hour,
    key_for,
    make_token,
    nested,
    no_salt,
    of_set,
    other_curve,
    padded,
    public_der,
    roca_key,
    short_rsa_key,
    standard_alphabet,
    unencoded,
    unused_bits,
)
from benchmarks.tokens_peers import AUDIENCE, ISSUER

__all__ = ["GROUPS", "Group", "Rule"]

_WITH_SECRET = Setup(SECRET)
_OURS = "our own"


@dataclass(frozen=True)
class Rule:
    """One rule: what it is about, where it stands, and how to try it.

    A rule of the key is broken by whoever sets up the application, who may be told of it by any exception.
    """

    text: str
    source: str
    make: Callable[[], Trial]
    algorithm: str = "HS256"
    of_the_key: bool = False


@dataclass(frozen=True)
class Group:
    """Rules that a page explains together; `accepted` says that their tokens are good ones."""

    name: str
    rules: tuple[Rule, ...]
    accepted: bool = False


def _claim(text: str, source: str, claims: Callable[[], bytes | Mapping[str, Any]]) -> Rule:
    return Rule(text, source, lambda: Trial(_WITH_SECRET, make_token(claims())))


def _header(text: str, source: str, header: bytes | Mapping[str, Any]) -> Rule:
    return Rule(text, source, lambda: Trial(_WITH_SECRET, make_token(header=header)))


def _form(text: str, source: str, change: Callable[[], str]) -> Rule:
    return Rule(text, source, lambda: Trial(_WITH_SECRET, change()))


def _secret_of(text: str, source: str, secret: Callable[[], bytes]) -> Rule:
    """A secret that must not be one, with a token that is right for it."""
    return Rule(text, source, lambda: Trial(Setup(secret()), make_token(sign=hmac_with(secret()))), of_the_key=True)


def _rsa_of(text: str, source: str, private: Callable[[], rsa.RSAPrivateKey]) -> Rule:
    def make() -> Trial:
        key = private()
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        sign: Sign = lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())  # noqa: E731
        return Trial(Setup(pem, "RS256"), make_token(header={"alg": "RS256"}, sign=sign))

    return Rule(text, source, make, "RS256", of_the_key=True)


_ALGORITHMS = Group(
    "keys",
    (
        Rule(
            "`alg` is `none` and there is no signature",
            "RFC 8725 §3.2",
            lambda: Trial(_WITH_SECRET, make_token(header={"alg": "none"}, sign=lambda data: b"")),
        ),
        Rule("`HS256`, keyed with the RSA public key, where `RS256` is expected", "RFC 8725 §3.1", confused, "RS256"),
        Rule(
            "`HS512` where `HS256` is expected",
            "RFC 8725 §3.1",
            lambda: Trial(_WITH_SECRET, make_token(header={"alg": "HS512"}, sign=hmac_with(SECRET, "sha512"))),
        ),
        _header("no `alg`", "RFC 7515 §4.1.1", {"typ": "JWT"}),
        _secret_of("a public key as PEM for a secret", "RFC 8725 §2.1", lambda: key_for("RS256").public_text),
        _secret_of("a public key as DER for a secret", "RFC 8725 §2.1", public_der),
        _secret_of("a secret of 6 bytes", "RFC 7518 §3.2", lambda: b"secret"),
        _secret_of("an empty secret", "RFC 7518 §3.2", lambda: b""),
        _secret_of("the placeholder of an example", "RFC 8725 §3.5", lambda: b"change-me-to-a-long-and-random-secret"),
        _rsa_of("an RSA key of 1024 bits", "RFC 7518 §3.3", short_rsa_key),
        _rsa_of("an RSA key of a broken generator (ROCA)", "RFC 8725 §3.5", roca_key),
        Rule("a P-384 key for `ES256`", "RFC 7518 §3.4", other_curve, "ES256", of_the_key=True),
        Rule("an `ES256` signature in DER", "RFC 7518 §3.4", der_signature, "ES256"),
        Rule("a `PS256` signature without salt", "RFC 7518 §3.5", no_salt, "PS256"),
    ),
)

_WHICH = Group(
    "which-key",
    (
        Rule("a `kid` that no key of the set has", _OURS, lambda: of_set("c", 0), "ES256"),
        Rule("the `kid` of one key, signed with another of the set", _OURS, lambda: of_set("a", 1), "ES256"),
        Rule("no `kid`, and the set has two keys", _OURS, lambda: of_set(None, 1), "ES256"),
        Rule("`jwk`: the token brings the key", "RFC 8725 §3.10", lambda: brings_its_key("jwk"), "ES256"),
        Rule("`jku`: the token says where the key is", "RFC 8725 §3.10", lambda: brings_its_key("jku"), "ES256"),
    ),
)

_FORM = Group(
    "form",
    (
        _header("`crit` with an unknown name", "RFC 7515 §4.1.11", {"alg": "HS256", "crit": ["exp2"], "exp2": 1}),
        _header("`crit` that is empty", "RFC 7515 §4.1.11", {"alg": "HS256", "crit": []}),
        _form("`b64` false, the payload not encoded", "RFC 7797 §7", unencoded),
        _form("`=` padding", "RFC 7515 §2", padded),
        _form("a line break inside the signature", "RFC 7515 §2", broken_line),
        _form("`+` and `/` of the other alphabet", "RFC 7515 §2", standard_alphabet),
        _form("a second spelling of the same signature", "RFC 4648 §3.5", unused_bits),
        _header("a name twice in the header", "RFC 7515 §4", b'{"alg":"none","alg":"HS256"}'),
        _claim("a name twice in the claims", "RFC 7519 §4", lambda: claims_with_twice("sub", '"1"', '"42"')),
        _claim("`NaN` in the claims", "RFC 8259 §6", lambda: claims_with_raw("score", "NaN")),
        _header("a header in UTF-16", "RFC 8725 §3.7", json.dumps({"alg": "HS256"}).encode("utf-16")),
        _form("a header nested 50,000 deep, with any signature", _OURS, deep_header),
        _claim("claims nested 50,000 deep", _OURS, lambda: nested(claims_with_raw("x", "@"))),
        _claim("5 MB", _OURS, lambda: good_claims(x="x" * 5_000_000)),
    ),
)

_CLAIMS = Group(
    "claims",
    (
        _claim("`exp` has passed", "RFC 7519 §4.1.4", lambda: good_claims(exp=in_an_hour() - 3610)),
        _claim("no `exp`", _OURS, lambda: claims_without("exp")),
        _claim("`exp` as a string", "RFC 7519 §2", lambda: good_claims(exp=str(in_an_hour()))),
        _claim("`exp` is `true`", "RFC 7519 §2", lambda: good_claims(exp=True)),
        _claim("`exp` is `null`", "RFC 7519 §2", lambda: good_claims(exp=None)),
        _claim("`exp` is `1e400`", "RFC 7519 §2", lambda: claims_with_raw("exp", "1e400")),
        _claim("`nbf` in an hour", "RFC 7519 §4.1.5", lambda: good_claims(nbf=in_an_hour())),
        _claim("`nbf` is `true`", "RFC 7519 §2", lambda: good_claims(nbf=True)),
        _claim("`nbf` as a string", "RFC 7519 §2", lambda: good_claims(nbf="0")),
        _claim("`iat` in an hour", _OURS, lambda: good_claims(iat=in_an_hour())),
        _claim("no `aud` where one is expected", "RFC 8725 §3.9", lambda: claims_without("aud")),
        _claim("`aud` of somebody else", "RFC 7519 §4.1.3", lambda: good_claims(aud="other")),
        Rule(
            "an `aud` where none is expected",
            "RFC 7519 §4.1.3",
            lambda: Trial(replace(_WITH_SECRET, audience=None), make_token()),
        ),
        _claim("`aud` as an object with our name", "RFC 7519 §4.1.3", lambda: good_claims(aud={AUDIENCE: True})),
        _claim("`iss` of somebody else", "RFC 8725 §3.8", lambda: good_claims(iss="https://other.example")),
        _claim("`iss` as a list with the right one", "RFC 7519 §4.1.1", lambda: good_claims(iss=[ISSUER])),
        _claim("no `sub`", _OURS, lambda: claims_without("sub")),
        _claim("`sub` as a number", "RFC 7519 §4.1.2", lambda: good_claims(sub=42)),
        _claim("`sub` is empty", _OURS, lambda: good_claims(sub="")),
        _claim("`jti` as a number", "RFC 7519 §4.1.7", lambda: good_claims(jti=7)),
    ),
)

_KIND = Group(
    "kind",
    (
        _header("a refresh token by its header `typ`", "RFC 8725 §3.11", {"alg": "HS256", "typ": "rt+jwt"}),
        _header("a token of another use by its header `typ`", "RFC 8725 §3.11", {"alg": "HS256", "typ": "dpop+jwt"}),
        _claim(
            "a refresh token by a claim: `type` is `refresh`", "RFC 8725 §3.12", lambda: good_claims(type="refresh")
        ),
    ),
)


_ACCEPTED = Group(
    "accepted",
    (
        _claim("an ordinary token: `HS256`", "RFC 7518 §3.2", good_claims),
        Rule("`RS256`", "RFC 7518 §3.3", lambda: good("RS256"), "RS256"),
        Rule("`PS256`", "RFC 7518 §3.5", lambda: good("PS256"), "PS256"),
        Rule("`ES256`", "RFC 7518 §3.4", lambda: good("ES256"), "ES256"),
        Rule("`EdDSA`", "RFC 8037 §3.1", lambda: good("EdDSA"), "EdDSA"),
        Rule("the `kid` of a key of the set that signed it", "RFC 7515 §4.1.4", lambda: of_set("b", 1), "ES256"),
        _claim("`aud` as a list that names us", "RFC 7519 §4.1.3", lambda: good_claims(aud=["other", AUDIENCE])),
        Rule(
            "one of two audiences that we answer to",
            "RFC 7519 §4.1.3",
            lambda: Trial(replace(_WITH_SECRET, audience=["other", AUDIENCE]), make_token()),
        ),
        _claim("`exp` with a fraction", "RFC 7519 §2", lambda: good_claims(exp=in_an_hour() + 0.5)),
        _claim("`exp` beyond the year 9999", "RFC 7519 §2", lambda: good_claims(exp=10**15)),
        _header("a header parameter that nobody knows", "RFC 7515 §4", {"alg": "HS256", "x-shard": "7"}),
        _header("no `typ`", "RFC 7519 §5.1", {"alg": "HS256"}),
    ),
    accepted=True,
)

GROUPS = (_ALGORITHMS, _WHICH, _FORM, _CLAIMS, _KIND, _ACCEPTED)
