"""The subjects of the token suite do what they are measured for: the same claims, checked by all but the floor."""

import time
from functools import cache
from typing import Any

import pytest

from benchmarks.tokens import floor
from benchmarks.tokens_peers import AUDIENCE, ISSUER, PEERS, Material, Peer, material
from fastapi_patterns.security import Key, TokenCodec, TokenConfig, TokenError

ALGORITHMS = ("HS256", "RS256", "PS256", "ES256", "EdDSA")
SUPPORTED = [(peer, algorithm) for peer in PEERS for algorithm in ALGORITHMS if algorithm not in peer.lacks]

key_for = cache(material)


def _claims(**others: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "sub": "42",
        "jti": "1",
        "scope": "read",
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 60,
    } | others


def _codec(key: Material) -> TokenCodec:
    make = Key.from_secret if isinstance(key.private, bytes) else Key.from_pem
    own = make(key.private_text, algorithm=key.algorithm, kid="2026")
    return TokenCodec(TokenConfig(keys=own, issuer=ISSUER, audience=AUDIENCE))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_floor_makes_and_reads_real_tokens(algorithm: str) -> None:
    """Ours accepts its token, it reads ours, and a broken signature is an error."""
    key = key_for(algorithm)
    least, codec, claims = floor(key), _codec(key), _claims()
    assert dict(codec.decode(least.encode(claims))) == claims
    token = codec.encode({"sub": "42"})
    assert least.decode(token) == dict(codec.decode(token))
    start, signature = token.rsplit(".", 1)
    with pytest.raises(Exception):  # noqa: B017 (each primitive has its own)
        least.decode(f"{start}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}")


@pytest.mark.parametrize(("peer", "algorithm"), SUPPORTED, ids=lambda value: getattr(value, "name", value))
def test_a_package_is_set_up_to_check(peer: Peer, algorithm: str) -> None:
    """Each reads the common claims, writes what ours accepts, and refuses another issuer, audience and an old token."""
    key = key_for(algorithm)
    try:
        encode, decode = peer.encoder(key), peer.decoder(key)
    except ImportError as missing:
        pytest.skip(str(missing))
    codec, claims = _codec(key), _claims()
    assert dict(decode(codec.encode({"sub": "42", "scope": "read"})))["scope"] == "read"
    assert dict(codec.decode(encode(dict(claims)))) == claims
    for wrong in ({"iss": "https://other.example"}, {"aud": "other"}, {"exp": 1}):
        token = encode(_claims(**wrong))
        with pytest.raises(TokenError):
            codec.decode(token)
        with pytest.raises(Exception):  # noqa: B017 (each package has its own)
            decode(token)
