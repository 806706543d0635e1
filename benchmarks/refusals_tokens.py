"""Tokens and keys as they must not be, put together by hand: no package's own encoder stands in the way."""

import base64
import hmac
import json
import math
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.refusals_libraries import Setup
from benchmarks.tokens_peers import AUDIENCE, ISSUER, Material, material
from fastapi_patterns.security import Key

__all__ = [
    "SECRET",
    "Sign",
    "Trial",
    "brings_its_key",
    "broken_line",
    "claims_with_raw",
    "claims_with_twice",
    "claims_without",
    "confused",
    "deep_header",
    "der_signature",
    "good",
    "good_claims",
    "hmac_with",
    "in_an_hour",
    "key_for",
    "make_token",
    "nested",
    "no_salt",
    "of_set",
    "other_curve",
    "padded",
    "public_der",
    "roca_key",
    "short_rsa_key",
    "standard_alphabet",
    "unencoded",
    "unused_bits",
]

Sign = Callable[[bytes], bytes]


class Trial(NamedTuple):
    """A decoder's set-up, and a token for it."""

    setup: Setup
    token: str


key_for = cache(material)
SECRET: bytes = key_for("HS256").private
_NESTED = 50_000


def good_claims(**others: Any) -> dict[str, Any]:
    """Give claims that are right, but for others."""
    now = int(time.time())
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "42", "iat": now, "exp": now + 3600} | others


def claims_without(*names: str) -> dict[str, Any]:
    """Give claims that are right, but for those that are left out."""
    return {name: value for name, value in good_claims().items() if name not in names}


def encode_part(data: bytes | Mapping[str, Any]) -> bytes:
    """Encode bytes or JSON as base64url."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def hmac_with(secret: bytes, digest: str = "sha256") -> Sign:
    """Sign with a secret."""
    return lambda data: hmac.digest(secret, data, digest)


def join(header: bytes, payload: bytes, sign: Sign) -> str:
    """Put encoded parts together and sign them."""
    signed = header + b"." + payload
    return (signed + b"." + encode_part(sign(signed))).decode()


def make_token(
    claims: bytes | Mapping[str, Any] | None = None,
    header: bytes | Mapping[str, Any] | None = None,
    sign: Sign | None = None,
) -> str:
    """Make a token that is right, but for what is given."""
    first = {"alg": "HS256", "typ": "JWT"} if header is None else header
    second = good_claims() if claims is None else claims
    return join(encode_part(first), encode_part(second), sign or hmac_with(SECRET))


def signer(key: Material) -> Sign:
    """Sign with a private key."""
    return Key.from_pem(key.private_text, algorithm=key.algorithm).sign


# What the broken generator of CVE-2017-15361 makes: k * M + (65537 ** a mod M), M the product of the first 126 primes.
_ROCA = ((8680592339938882, 127691290481), (8462696340199921, 86638285562))


@cache
def roca_key() -> rsa.RSAPrivateKey:
    """Make a key as the broken generator made them."""
    product = math.prod(n for n in range(2, 702) if all(n % d for d in range(2, math.isqrt(n) + 1)))
    p, q = (k * product + pow(65537, a, product) for k, a in _ROCA)
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key()


@cache
def short_rsa_key() -> rsa.RSAPrivateKey:
    """Make a key of 1024 bits."""
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505


def confused() -> Trial:
    """Take the public key's text for an HMAC secret, which is what an attacker can do."""
    pem = key_for("RS256").public_text
    return Trial(Setup(pem, "RS256"), make_token(sign=hmac_with(pem)))


def public_der() -> bytes:
    """Give a public key as DER."""
    der: bytes = key_for("RS256").public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return der


def other_curve() -> Trial:
    """Sign for `ES256` on P-384."""
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(48, "big") + s.to_bytes(48, "big")

    return Trial(Setup(pem, "ES256"), make_token(header={"alg": "ES256"}, sign=sign))


def der_signature() -> Trial:
    """Leave the signature in the form that certificates have."""
    key = key_for("ES256")
    sign: Sign = lambda data: bytes(key.private.sign(data, ec.ECDSA(hashes.SHA256())))  # noqa: E731
    return Trial(Setup(key.public_text, "ES256"), make_token(header={"alg": "ES256"}, sign=sign))


def no_salt() -> Trial:
    """Sign with PSS and a salt of no length."""
    key = key_for("PS256")
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 0)
    sign: Sign = lambda data: bytes(key.private.sign(data, pss, hashes.SHA256()))  # noqa: E731
    return Trial(Setup(key.public_text, "PS256"), make_token(header={"alg": "PS256"}, sign=sign))


@cache
def _two_keys() -> tuple[Material, Material]:
    return material("ES256"), material("ES256")


def of_set(kid: str | None, signed_by: int) -> Trial:
    """Sign with one of the set's keys, `a` and `b`."""
    pair = _two_keys()
    jwks = {
        "keys": [
            Key.from_pem(key.public_text, algorithm="ES256", kid=name).public_jwk()
            for key, name in zip(pair, "ab", strict=True)
        ]
    }
    header = {"alg": "ES256"} if kid is None else {"alg": "ES256", "kid": kid}
    return Trial(Setup(algorithm="ES256", jwks=jwks), make_token(header=header, sign=signer(pair[signed_by])))


def brings_its_key(parameter: str) -> Trial:
    """Sign with an attacker's key, which the header brings or points to."""
    trusted, attacker = _two_keys()
    jwk = Key.from_pem(attacker.public_text, algorithm="ES256").public_jwk()
    value: Any = jwk if parameter == "jwk" else "https://attacker.example/jwks.json"
    header = {"alg": "ES256", parameter: value}
    return Trial(Setup(trusted.public_text, "ES256"), make_token(header=header, sign=signer(attacker)))


def unused_bits() -> str:
    """Spell the last character of the signature another way: its unused bits are not zero."""
    token = make_token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


def standard_alphabet() -> str:
    """Encode the claims with `+` and `/`."""
    payload = base64.b64encode(json.dumps(good_claims(note="~~~???>>>")).encode()).rstrip(b"=")
    return join(encode_part({"alg": "HS256"}), payload, hmac_with(SECRET))


def padded() -> str:
    """Leave the padding on the claims."""
    payload = base64.urlsafe_b64encode(json.dumps(good_claims()).encode() + b"  ")
    while not payload.endswith(b"="):
        payload = base64.urlsafe_b64encode(base64.urlsafe_b64decode(payload) + b" ")
    return join(encode_part({"alg": "HS256"}), payload, hmac_with(SECRET))


def broken_line() -> str:
    """Break the line inside the signature."""
    start, signature = make_token().rsplit(".", 1)
    return f"{start}.{signature[:20]}\n{signature[20:]}"


def unencoded() -> str:
    """Sign the claims as they are (RFC 7797)."""
    header = encode_part({"alg": "HS256", "b64": False, "crit": ["b64"]})
    return join(header, json.dumps(claims_without("iat")).replace(".", "\\u002e").encode(), hmac_with(SECRET))


def claims_with_twice(name: str, first: str, second: str) -> bytes:
    """Write the claims with a name that stands twice."""
    rest = json.dumps(claims_without(name))[1:]
    return f'{{"{name}":{first},"{name}":{second},{rest}'.encode()


def claims_with_raw(name: str, value: str) -> bytes:
    """Write the claims with a value as it stands."""
    return f'{{"{name}":{value},{json.dumps(claims_without(name))[1:]}'.encode()


def nested(text: bytes) -> bytes:
    """Put a deep value in the place of `@`."""
    return text.replace(b"@", b"[" * _NESTED + b"]" * _NESTED)


def deep_header() -> str:
    """Nest the header, which is read before any signature is checked."""
    return make_token(header=nested(b'{"alg":"HS256","x":@}'), sign=hmac_with(b"of anybody"))


def in_an_hour() -> int:
    """Give a moment to come."""
    return int(time.time()) + 3600


def good(algorithm: str) -> Trial:
    """Make a token that is right."""
    key = key_for(algorithm)
    return Trial(Setup(key.public_text, algorithm), make_token(header={"alg": algorithm}, sign=signer(key)))
