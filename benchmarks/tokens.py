"""What a token costs over the work that cannot be left out, for every kind of key, beside the usual packages.

All of them read or write the same claims and check the algorithm, the issuer, the audience and the end. The floor
checks nothing but the signature: what lies above it is what the checks and the library around them cost.
It reads every header again, as the packages do; ours knows the headers that it has verified before, and may come out
below it.
"""

import base64
import binascii
import hmac
import json
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from pydantic import BaseModel

from benchmarks.harness import OURS, Case, Subject, Suite
from benchmarks.tokens_peers import AUDIENCE, ISSUER, PEERS, Material, material
from fastapi_patterns.security import Key, KeySet, TokenCodec, TokenConfig, TokenError

__all__ = ["Floor", "floor", "suite"]

_DECODED = ("HS256", "RS256", "PS256", "ES256", "EdDSA")
_ENCODED = ("HS256", "RS256", "ES256", "EdDSA")
_DATA = {"sub": "42", "jti": "0f8fad5b-d9cb-469f-a165-70867728950e", "scope": "read write"}
_LIFETIME_S = 900
_DECODE_FLOOR = "the signature, base64, and json.loads of header and payload; nothing is checked"
_ENCODE_FLOOR = "json.dumps of header and payload, base64, and the signature"


class Model(BaseModel):
    """What an application may read its claims into."""

    sub: str
    scope: str
    exp: int


class Floor(NamedTuple):
    """The least work for one key."""

    encode: Callable[[Mapping[str, Any]], str]
    decode: Callable[[str], Any]


def suite() -> Suite:
    """Make the cases: each algorithm both ways, and the ways in which tokens differ."""
    keys = {algorithm: material(algorithm) for algorithm in _DECODED}
    return Suite(
        "tokens",
        [
            *(_decoding(keys[algorithm]) for algorithm in _DECODED),
            *(_encoding(keys[algorithm]) for algorithm in _ENCODED),
            *_variants(keys["HS256"], keys["ES256"]),
            _refusing(keys["HS256"]),
        ],
    )


def floor(key: Material) -> Floor:
    """Make the functions that do the least work for a key."""
    sign, verify = _primitives(key)

    def encode(claims: Mapping[str, Any]) -> str:
        header = {"alg": key.algorithm, "typ": "at+jwt", "kid": "2026"}
        signed = _part(_dumps(header)) + b"." + _part(_dumps(claims))
        return (signed + b"." + _part(sign(signed))).decode()

    def decode(token: str) -> Any:
        header, payload, signature = token.encode().split(b".")
        verify(header + b"." + payload, base64.urlsafe_b64decode(signature + b"=="))
        json.loads(base64.urlsafe_b64decode(header + b"=="))
        return json.loads(base64.urlsafe_b64decode(payload + b"=="))

    return Floor(encode, decode)


_dumps = json.JSONEncoder(separators=(",", ":")).encode


def _part(data: str | bytes) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _primitives(key: Material) -> tuple[Callable[[bytes], bytes], Callable[[bytes, bytes], None]]:
    private, public = key.private, key.public
    if key.algorithm == "HS256":

        def check(data: bytes, signature: bytes) -> None:
            if not hmac.compare_digest(hmac.digest(public, data, "sha256"), signature):
                raise ValueError

        return lambda data: hmac.digest(private, data, "sha256"), check
    if key.algorithm == "ES256":
        scheme = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)

        def sign(data: bytes) -> bytes:
            r, s = decode_dss_signature(private.sign(data, scheme))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")

        def verify(data: bytes, signature: bytes) -> None:
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            public.verify(encode_dss_signature(r, s), data, scheme)

        return sign, verify
    if key.algorithm == "EdDSA":
        return private.sign, lambda data, signature: public.verify(signature, data)
    digest = hashes.SHA256()
    pad = padding.PSS(padding.MGF1(digest), 32) if key.algorithm == "PS256" else padding.PKCS1v15()
    return (
        lambda data: bytes(private.sign(data, pad, digest)),
        lambda data, signature: public.verify(signature, data, pad, digest),
    )


def _claims() -> dict[str, Any]:
    now = int(time.time())
    return {**_DATA, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + _LIFETIME_S}


def _our_key(key: Material, kid: str = "2026") -> Key:
    make = Key.from_secret if isinstance(key.private, bytes) else Key.from_pem
    return make(key.private_text, algorithm=key.algorithm, kid=kid)


def _ours(keys: Key | KeySet) -> TokenCodec:
    return TokenCodec(TokenConfig(keys=keys, issuer=ISSUER, audience=AUDIENCE))


def _lazily(make: Callable[[], Subject]) -> Subject:
    """Make a subject when it is first measured: a package that is not installed is one that could not run."""
    made = cache(make)
    return lambda: made()()


def _decoding(key: Material) -> Case:
    codec = _ours(_our_key(key))
    token = codec.encode(_DATA)
    subjects: dict[str, Subject] = {
        "floor": partial(floor(key).decode, token),
        OURS: partial(codec.decode, token),
    }
    for peer in PEERS:
        if key.algorithm not in peer.lacks:
            subjects[peer.name] = _lazily(lambda peer=peer: partial(peer.decoder(key), token))  # type: ignore[misc]
    return Case(f"decode {key.algorithm}", _DECODE_FLOOR, subjects, rounds=30)


def _encoding(key: Material) -> Case:
    codec, least = _ours(_our_key(key)), floor(key)
    subjects: dict[str, Subject] = {
        "floor": lambda: least.encode(_claims()),
        OURS: lambda: codec.encode(_DATA),
    }
    for peer in PEERS:
        if key.algorithm not in peer.lacks:
            subjects[peer.name] = _lazily(lambda peer=peer: _encoding_with(peer.encoder(key)))  # type: ignore[misc]
    return Case(f"encode {key.algorithm}", _ENCODE_FLOOR, subjects, rounds=30)


def _encoding_with(encode: Callable[[dict[str, Any]], str]) -> Subject:
    return lambda: encode(_claims())


def _variants(secret: Material, curve: Material) -> list[Case]:
    """Decoding as applications meet it: several keys, another issuer's header, a model."""
    ten = KeySet([_our_key(material("ES256"), f"key-{number}") for number in range(9)] + [_our_key(curve, "newest")])
    of_ten, alone = _ours(ten), _ours(_our_key(secret))
    rotated = _ours(KeySet(ten.keys, active="newest")).encode(_DATA)
    own, least = alone.encode(_DATA), floor(secret).decode
    header = _part(_dumps({"alg": "HS256", "typ": "JWT"}))
    signed = header + b"." + _part(_dumps(_claims()))
    foreign = (signed + b"." + _part(hmac.digest(secret.private, signed, "sha256"))).decode()
    return [
        Case(
            "decode ES256 with a set of ten keys",
            _DECODE_FLOOR,
            {"floor": partial(floor(curve).decode, rotated), OURS: partial(of_ten.decode, rotated)},
            rounds=30,
        ),
        Case(
            "decode HS256 with the header of another issuer",
            _DECODE_FLOOR,
            {"floor": partial(least, foreign), OURS: partial(alone.decode, foreign)},
            rounds=30,
        ),
        Case(
            "decode HS256 into a pydantic model",
            _DECODE_FLOOR + "; then the model",
            {
                "floor": lambda: Model.model_validate(least(own)),
                OURS: lambda: alone.decode(own, model=Model),
            },
            rounds=30,
        ),
    ]


def _refusing(key: Material) -> Case:
    """A token of a megabyte whose signature is not even right."""
    token = "A" * 400 + "." + "A" * 1_000_000 + "." + "A" * 43
    codec = _ours(_our_key(key))
    subjects: dict[str, Subject] = {
        "floor": lambda: binascii.crc32(token.encode()),
        OURS: _refused(codec.decode, token, TokenError),
    }
    for peer in PEERS:
        subjects[peer.name] = _lazily(lambda peer=peer: _refused(peer.decoder(key), token, Exception))  # type: ignore[misc]
    return Case("refuse a token of 1 MB", "reading it once (a checksum)", subjects, rounds=15)


def _refused(decode: Callable[[str], object], token: str, error: type[Exception]) -> Subject:
    def refuse() -> None:
        try:
            decode(token)
        except error:
            return
        raise AssertionError("the token was accepted")

    return refuse
