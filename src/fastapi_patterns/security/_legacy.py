"""Hashes that older software made, verified through passlib: a closed list, all of them salted.

passlib is imported on first use. Its argon2 and bcrypt handlers are never used (see `passwords` and `_bcrypt`).
"""

import re
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

__all__ = ["verify"]

# Beyond these an attacker who can write one hash row keeps a worker busy for minutes. Rounds, by scheme; passlib
# computes sun_md5_crypt and bsdi_crypt in Python.
_MAX_ROUNDS = {
    "pbkdf2_sha1": 4_000_000,
    "pbkdf2_sha256": 4_000_000,
    "pbkdf2_sha512": 2_000_000,
    "django_pbkdf2_sha1": 4_000_000,
    "django_pbkdf2_sha256": 4_000_000,
    "cta_pbkdf2_sha1": 4_000_000,
    "dlitz_pbkdf2_sha1": 4_000_000,
    "grub_pbkdf2_sha512": 2_000_000,
    "scram": 2_000_000,
    "fshp": 4_000_000,
    "sha1_crypt": 2_000_000,
    "sha256_crypt": 1_000_000,
    "sha512_crypt": 1_000_000,
    "sun_md5_crypt": 250_000,
    "bsdi_crypt": 200_000,
    "phpass": 20,
}
_FIXED_COST = (
    "md5_crypt",
    "apr_md5_crypt",
    "des_crypt",
    "atlassian_pbkdf2_sha1",
    "django_salted_sha1",
    "django_salted_md5",
    "django_des_crypt",
    "ldap_salted_md5",
    "ldap_salted_sha1",
    "ldap_salted_sha256",
    "ldap_salted_sha512",
    "mssql2005",
    "oracle11",
)
# Left out on purpose: what has no salt, can be read back (cisco_type7), folds case (mssql2000), needs the user's name
# (postgres_md5 and others), or can be taken for another scheme (bigcrypt, crypt16).
_SCHEMES = (*_MAX_ROUNDS, *_FIXED_COST, "scrypt")
# How passlib writes for LDAP what it writes elsewhere with the other prefix.
_LDAP_FORMS = {
    "{PBKDF2}": "$pbkdf2$",
    "{PBKDF2-SHA256}": "$pbkdf2-sha256$",
    "{PBKDF2-SHA512}": "$pbkdf2-sha512$",
}
# DES reads 8 bytes of a password.
_DES, _DES_BYTES = ("des_crypt", "django_des_crypt"), 8
_SCRYPT_COST = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$")
# 128 MiB, four times what passlib's default asks for (RFC 7914 section 2: memory is 128 * N * r bytes).
_MAX_SCRYPT_BYTES = 128 * 1024 * 1024
_MAX_SCRYPT_P = 16


@cache
def _handlers() -> Mapping[str, Any]:
    with warnings.catch_warnings():
        # passlib 1.7.4 imports the deprecated `crypt` module on Python 3.11 and 3.12.
        warnings.simplefilter("ignore", DeprecationWarning)
        from passlib.registry import get_crypt_handler

        return {scheme: get_crypt_handler(scheme) for scheme in _SCHEMES}


def verify(password: bytes, text: str, *, truncate: bool) -> bool:
    """Compare a password with a hash of one of the schemes.

    Args:
        password: The password's bytes.
        text: The hash.
        truncate: Let a longer password match a DES hash by its first 8 bytes, as the software that made it did.

    Raises:
        ValueError: The hash is malformed or costs too much to check, or the password cannot be one of these.
        Exception: passlib's parsers answer some malformed hashes with TypeError, IndexError and others.
    """
    if b"\0" in password:
        # HMAC pads short keys with NUL: to PBKDF2 and scrypt "password" and "password\0" are one password.
        raise ValueError("a password with NUL")
    for ldap, plain in _LDAP_FORMS.items():
        if text.startswith(ldap):
            text = plain + text.removeprefix(ldap)
    handler, parsed = _parse(text)
    if not parsed.salt or not _affordable(handler.name, parsed, text):
        raise ValueError("not a supported hash")
    matches = bool(handler.verify(password, text))
    return matches and (truncate or handler.name not in _DES or len(password) <= _DES_BYTES)


def _parse(text: str) -> tuple[Any, Any]:
    """Find the handler that can read a hash: `$p5k2$` begins those of two, which differ in how they write salts."""
    for handler in _handlers().values():
        if handler.identify(text):
            try:
                return handler, handler.from_string(text)
            except ValueError:
                continue
    raise ValueError("not a supported hash")


def _affordable(scheme: str, parsed: Any, text: str) -> bool:
    if scheme == "scrypt":
        found = _SCRYPT_COST.match(text)
        return (
            found is not None
            and 128 * 2 ** int(found[1]) * int(found[2]) <= _MAX_SCRYPT_BYTES
            and int(found[3]) <= _MAX_SCRYPT_P
        )
    limit = _MAX_ROUNDS.get(scheme)
    return limit is None or parsed.rounds <= limit
