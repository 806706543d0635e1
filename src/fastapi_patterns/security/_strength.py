"""Whether a key is strong enough to be used, whatever form it came in. Pure functions over bytes and numbers.

Each gives what is wrong in words that complete "the key ...", or None; never a part of the key.
"""

import binascii
import hashlib
import re
from itertools import pairwise
from math import isqrt
from operator import eq

__all__ = ["MAKE_A_SECRET", "ed25519_weakness", "hmac_weakness", "rsa_weakness"]

MAKE_A_SECRET = 'python -c "import secrets; print(secrets.token_urlsafe(64))"'  # noqa: S105 (a command)

# An HMAC key must be at least as long as the hash (RFC 7518 section 3.2). Bytes, by algorithm.
_HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
# Text that is a public key, a certificate or a JWK: an attacker knows it, so it must never be an HMAC secret
# (RFC 8725 section 2.1).
_KEY_TEXT = re.compile(
    rb"-----BEGIN |---- BEGIN SSH2|ssh-(rsa|dss|ed25519)|ecdsa-sha2-|@openssh\.com "
    rb'|"kty"\s*:|^\s*\{.*"keys"',
    re.DOTALL,
)
# DER begins with a SEQUENCE, and keys and certificates go on with another one or an INTEGER.
_DER_SEQUENCE = 0x30
# What tutorials and templates write where a secret should be, and a few whole secrets that were published. Long words
# only: a random secret has none of them by chance.
_PLACEHOLDER = re.compile(
    rb"change[-_ ]?(me|this|it)|your[-_ ]?(own|super|very|jwt|secret|256)|super[-_ ]?secret|my[-_ ]?secret"
    rb"|secret[-_ ]?key|django-insecure|insecure|dontuse|do[-_]not[-_]use|example[-_ ]?secret|string-secret",
    re.IGNORECASE,
)
_PUBLISHED_SHA256 = frozenset(
    {
        # FastAPI's tutorial on OAuth2 with JWT
        "570dad43de1af4c925f92c16a68a50936da42b7dd6fdeb24850507a1199aac89",
    }
)
_FEWEST_DISTINCT = 8

_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 16384
_PRIMES = [p for p in range(3, 168) if all(p % d for d in range(2, isqrt(p) + 1))]
_ROCA_GENERATOR = 65537
_FERMAT_ROUNDS = 100

# The curve of RFC 8032 section 5.1.
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


def hmac_weakness(raw: bytes, algorithm: str, *, short: bool = False, generated: bool = False) -> str | None:
    """Judge an HMAC secret (RFC 7518 section 3.2, RFC 8725 sections 2.1 and 3.5).

    Args:
        raw: The secret.
        algorithm: `HS256`, `HS384` or `HS512`.
        short: Let a short or weak secret pass, which only old tokens may be verified with.
        generated: It is the `k` of a JWK, bytes that a program wrote, and not a text that somebody may have typed:
            patterns in it are not judged.
    """
    if _KEY_TEXT.search(raw) or _is_der(raw) or _is_der(_from_base64(raw)):
        return "is a public key, a certificate or a JWK, which is not a secret"
    if short:
        return None if raw else "is empty"
    if len(raw) < _HMAC_BYTES[algorithm]:
        return f"must be at least {_HMAC_BYTES[algorithm]} bytes long; it has {len(raw)}"
    if len(set(raw)) == 1:
        return "must not be one repeated byte"
    if not generated and (len(set(raw)) < _FEWEST_DISTINCT or _is_repeated(raw) or _is_a_series(raw)):
        return "must be random; it repeats itself"
    if _PLACEHOLDER.search(raw) or hashlib.sha256(raw.strip().lower()).hexdigest() in _PUBLISHED_SHA256:
        return "must be random and your own; it is the placeholder of an example"
    return None


def rsa_weakness(n: int, e: int) -> str | None:
    """Judge an RSA key: RFC 7518 sections 3.3 and 3.5, NIST SP 800-56B section 6.4, and two known broken generators."""
    if not _MIN_RSA_BITS <= n.bit_length() <= _MAX_RSA_BITS:
        return f"must have {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits; it has {n.bit_length()}"
    # A larger exponent than any generator makes would cost much time on each verify.
    if e < 65537 or e % 2 == 0 or e.bit_length() > 64:
        return "must have an odd public exponent of at least 65537 and at most 64 bits"
    if n % 2 == 0 or any(n % prime == 0 for prime in _PRIMES):
        return "has a small factor: its modulus is no product of two large primes"
    if _is_roca(n):
        return "was made by a generator whose keys can be factored (CVE-2017-15361, ROCA)"
    if _has_close_primes(n):
        return "has two primes so close to each other that it can be factored (CVE-2022-26320)"
    return None


def ed25519_weakness(raw: bytes) -> str | None:
    """Judge an Ed25519 public key: a point of the curve, and not one of the few that verify anything.

    OpenSSL takes any 32 bytes. Source: RFC 8032 section 5.1.3; points of small order: RFC 7748 section 7.
    """
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    if len(raw) != 32 or y >= _P:
        return "is not a point of the curve"
    # x^2 = (y^2 - 1) / (d y^2 + 1) must have a root.
    numerator, denominator = (y * y - 1) % _P, (_D * y * y + 1) % _P
    square = numerator * pow(denominator, -1, _P) % _P
    if pow(square, (_P - 1) // 2, _P) not in (0, 1):
        return "is not a point of the curve"
    # Doubling three times (only y is needed) ends in the neutral element, y = 1, for the eight points of small order.
    for _ in range(3):
        x2 = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
        y = (y * y + x2) * pow(1 - _D * x2 * y * y, -1, _P) % _P
    return "is a point of small order, with which every signature can be forged" if y == 1 else None


def _is_repeated(raw: bytes) -> bool:
    """Tell whether it is one text again and again, the last time perhaps cut off, and hardly anything else."""
    begin = raw[:256]  # whoever types a longer one has typed a short one often
    return any(
        sum(map(eq, begin, begin[period:])) > 0.75 * (len(begin) - period) for period in range(1, len(begin) // 2 + 1)
    )


def _is_a_series(raw: bytes) -> bool:
    """Tell whether most bytes follow from the one before, as in `abcdef...` or `0123...`."""
    steps = [after - before for before, after in pairwise(raw)]
    return steps.count(1) + steps.count(-1) > 0.75 * len(steps)


def _from_base64(raw: bytes) -> bytes:
    try:
        return binascii.a2b_base64(raw)
    except ValueError:
        return b""


def _is_der(raw: bytes) -> bool:
    """Tell whether bytes are a DER SEQUENCE, as long as the whole text, of what a key begins with."""
    if len(raw) < 4 or raw[0] != _DER_SEQUENCE:
        return False
    count = raw[1] & 0x7F if raw[1] >= 0x80 else 0  # of the bytes that hold the length
    size = int.from_bytes(raw[2 : 2 + count], "big") if count else raw[1]
    begin = 2 + count
    return len(raw) == begin + size and raw[begin : begin + 1] in (b"\x30", b"\x02")


def _is_roca(n: int) -> bool:
    """Tell whether a modulus is a power of 65537 modulo every small prime, as only the broken generator's are.

    Source: Nemec and others, "The Return of Coppersmith's Attack", 2017, section 3.3.
    """
    for prime in _PRIMES:
        power = 1
        powers = set()
        while power not in powers:
            powers.add(power)
            power = power * _ROCA_GENERATOR % prime
        if n % prime not in powers:
            return False
    return True


def _has_close_primes(n: int) -> bool:
    """Try a few rounds of Fermat's factorization: random primes never fall to it."""
    middle = isqrt(n - 1) + 1
    for step in range(_FERMAT_ROUNDS):
        rest = (middle + step) ** 2 - n
        if isqrt(rest) ** 2 == rest:
            return True
    return False
