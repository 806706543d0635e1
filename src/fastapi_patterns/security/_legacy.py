"""Hashes that older software made, verified through passlib: a closed list, all of them salted.

passlib is imported on first use. Its argon2 and bcrypt handlers are never used (see `passwords` and `_bcrypt`).
"""

import re
import warnings
from functools import cache
from typing import Any

__all__ = ["verify"]

# Beyond these an attacker who can write one hash row keeps a worker busy for minutes. Rounds, by scheme.
_MAX_ROUNDS = {
    "pbkdf2_sha1": 4_000_000,
    "pbkdf2_sha256": 4_000_000,
    "pbkdf2_sha512": 2_000_000,
    "django_pbkdf2_sha1": 4_000_000,
    "django_pbkdf2_sha256": 4_000_000,
    "sha256_crypt": 1_000_000,
    "sha512_crypt": 1_000_000,
    "phpass": 20,
}
_SCHEMES = (*_MAX_ROUNDS, "scrypt", "md5_crypt", "django_salted_sha1", "django_salted_md5")
_SCRYPT_COST = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$")
# 128 MiB, four times what passlib's default asks for (RFC 7914 section 2: memory is 128 * N * r bytes).
_MAX_SCRYPT_BYTES = 128 * 1024 * 1024
_MAX_SCRYPT_P = 16


@cache
def _context() -> Any:
    with warnings.catch_warnings():
        # passlib 1.7.4 imports the deprecated `crypt` module on Python 3.11 and 3.12.
        warnings.simplefilter("ignore", DeprecationWarning)
        from passlib.context import CryptContext
    return CryptContext(schemes=list(_SCHEMES))


def verify(password: bytes, text: str) -> bool:
    """Compare a password with a hash of one of the schemes.

    Raises:
        ValueError: The hash is malformed or costs too much to check, or the password cannot be one of these.
        Exception: passlib's parsers answer some malformed hashes with TypeError, IndexError and others.
    """
    if b"\0" in password:
        # HMAC pads short keys with NUL: to PBKDF2 and scrypt "password" and "password\0" are one password.
        raise ValueError("a password with NUL")
    context = _context()
    scheme = context.identify(text)
    if scheme is None or not _affordable(context, scheme, text):
        raise ValueError("not a supported hash")
    return bool(context.handler(scheme).verify(password, text))


def _affordable(context: Any, scheme: str, text: str) -> bool:
    if scheme == "scrypt":
        found = _SCRYPT_COST.match(text)
        return (
            found is not None
            and 128 * 2 ** int(found[1]) * int(found[2]) <= _MAX_SCRYPT_BYTES
            and int(found[3]) <= _MAX_SCRYPT_P
        )
    limit = _MAX_ROUNDS.get(scheme)
    return limit is None or context.handler(scheme).from_string(text).rounds <= limit
