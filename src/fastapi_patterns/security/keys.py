"""HMAC keys, checked once when they are made: length, shape and strength (RFC 7518 section 3.2, RFC 8725 3.5)."""

import re
from typing import Any

from jose import jwk

from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["ALGORITHMS", "hmac_key"]

# An HMAC key must be at least as long as the hash (RFC 7518 section 3.2). Bytes, by algorithm.
ALGORITHMS = {"HS256": 32, "HS384": 48, "HS512": 64}

MAKE_ONE = 'python -c "import secrets; print(secrets.token_urlsafe(64))"'

# Text that is a public key, a certificate or a JWK: an attacker knows it, so it must never be an HMAC secret
# (RFC 8725 section 2.1).
_KEY_TEXT = re.compile(rb'-----BEGIN |ssh-rsa|^\s*(ssh-[a-z0-9]+|ecdsa-sha2-\S+) |^\s*\{.*"kty"', re.DOTALL)
# The same as DER: a SEQUENCE whose length is that of the whole text.
_DER_SEQUENCE = 0x30


def hmac_key(secret: str | bytes, algorithm: str) -> Any:
    """Check a secret and parse it into one of python-jose's HMAC keys, bound to `algorithm`.

    Raises:
        ConfigurationError: The algorithm is not supported, or the secret is too short, is key material that is
            no secret, or is one repeated byte. The message holds a command that makes a good one.
    """
    if algorithm not in ALGORITHMS:
        raise ConfigurationError(f"algorithm must be one of {', '.join(ALGORITHMS)}; got {algorithm!r}")
    try:
        raw = secret.encode() if isinstance(secret, str) else bytes(secret)
    except UnicodeEncodeError:
        raise ConfigurationError(f"The secret key is not valid Unicode. Make one with: {MAKE_ONE}") from None
    problem = _weakness(raw, ALGORITHMS[algorithm])
    if problem:
        raise ConfigurationError(f"The secret key for {algorithm} {problem}. Make one with: {MAKE_ONE}")
    return jwk.construct(raw, algorithm)


def _weakness(raw: bytes, needed: int) -> str | None:
    if _KEY_TEXT.search(raw) or _is_der(raw):
        return "is a public key, a certificate or a JWK, which is not a secret"
    if len(raw) < needed:
        return f"must be at least {needed} bytes long; it has {len(raw)}"
    if len(set(raw)) == 1:
        return "must not be one repeated byte"
    return None


def _is_der(raw: bytes) -> bool:
    if len(raw) < 4 or raw[0] != _DER_SEQUENCE:
        return False
    size = raw[1]
    if size < 0x80:
        return len(raw) == size + 2
    count = size & 0x7F
    return len(raw) == int.from_bytes(raw[2 : 2 + count], "big") + 2 + count
