"""Hashes that older software made, verified through passlib: a closed list; without a salt only those that are named.

passlib is imported on first use. Its argon2 and bcrypt handlers are never used (see `_argon2` and `_bcrypt`).
"""

import warnings
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from fastapi_patterns.security import _scrypt
from fastapi_patterns.security._stored import Stored, powers

__all__ = ["LOOKALIKES", "UNSALTED", "parse"]

# Beyond these an attacker who can write one hash row keeps a worker busy for minutes. Rounds, by scheme: about a second
# of each. passlib computes sun_md5_crypt in Python, and bsdi_crypt too where there is no `crypt`.
_MAX_ROUNDS = {
    "pbkdf2_sha1": 4_000_000,
    "pbkdf2_sha256": 4_000_000,
    "pbkdf2_sha512": 2_000_000,
    "django_pbkdf2_sha1": 4_000_000,
    "django_pbkdf2_sha256": 4_000_000,
    "cta_pbkdf2_sha1": 2_000_000,
    "dlitz_pbkdf2_sha1": 2_000_000,
    "grub_pbkdf2_sha512": 2_000_000,
    "scram": 1_000_000,
    "fshp": 4_000_000,
    "sha1_crypt": 1_000_000,
    "sha256_crypt": 1_000_000,
    "sha512_crypt": 1_000_000,
    "sun_md5_crypt": 150_000,
    "bsdi_crypt": 100_000,
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
# Without a salt one computation tries a password on every user, and tables do the rest.
UNSALTED = (
    "hex_md5",
    "hex_sha1",
    "hex_sha256",
    "hex_sha512",
    "ldap_md5",
    "ldap_sha1",
    "lmhash",
    "mysql323",
    "mysql41",
    "nthash",
)
# These are 32 digits all three.
LOOKALIKES = ("hex_md5", "lmhash", "nthash")
# Left out on purpose: what is no hash (plaintext), can be read back (cisco_type7), folds case (mssql2000), needs the
# user's name (postgres_md5 and others), or can be taken for another scheme (bigcrypt, crypt16).
_SCHEMES = (*_MAX_ROUNDS, *_FIXED_COST, "scrypt")
# How passlib writes for LDAP what it writes elsewhere with the other prefix.
_LDAP_FORMS = {
    "{PBKDF2}": "$pbkdf2$",
    "{PBKDF2-SHA256}": "$pbkdf2-sha256$",
    "{PBKDF2-SHA512}": "$pbkdf2-sha512$",
}
# DES reads 8 bytes of a password.
_DES, _DES_BYTES = ("des_crypt", "django_des_crypt"), 8
# These digest the password in each round, so that a long one costs as much as many rounds: bytes in all.
_BY_LENGTH = ("sha256_crypt", "sha512_crypt", "phpass")
_MAX_DIGESTED_BYTES = 250_000_000
_FILLER_CHAR = b"x"


@cache
def _handlers() -> Mapping[str, Any]:
    with warnings.catch_warnings():
        # passlib 1.7.4 imports the deprecated `crypt` module on Python 3.11 and 3.12.
        warnings.simplefilter("ignore", DeprecationWarning)
        from passlib.registry import get_crypt_handler

        return {scheme: get_crypt_handler(scheme) for scheme in (*_SCHEMES, *UNSALTED)}


def parse(text: str, *, truncate: bool, unsalted: Collection[str] = ()) -> Stored | None:
    """Take apart a hash of one of the schemes; None for what is malformed, without a salt, or too costly.

    Args:
        text: The hash.
        truncate: Let a longer password match a DES hash by its first 8 bytes, as the software that made it did.
        unsalted: Names out of `UNSALTED` that are read too.
    """
    for ldap, plain in _LDAP_FORMS.items():
        if text.startswith(ldap):
            text = plain + text.removeprefix(ldap)
    handler, parsed = _read(text, (*_SCHEMES, *unsalted))
    if handler is None:
        return None
    scheme = handler.name
    if scheme == "scrypt":  # the one whose test vectors (RFC 7914 section 12) have an empty salt
        n, r, p = 1 << parsed.rounds, parsed.block_size, parsed.parallelism
        if not _scrypt.affordable(n, r, p):
            return None
        return Stored(
            "scrypt", _scrypt.work_of(n, r, p), lambda password: _verify(handler, password, text), _scrypt.spend
        )
    rounds = getattr(parsed, "rounds", None) or 1
    if (scheme not in UNSALTED and not parsed.salt) or rounds > _MAX_ROUNDS.get(scheme, rounds):
        return None
    work = 1 << rounds if getattr(handler, "rounds_cost", "") == "log2" else rounds

    def verify(password: bytes) -> bool | None:
        if not _digestible(scheme, work, len(password)):
            return None
        matches = _verify(handler, password, text)
        return matches and (truncate or scheme not in _DES or len(password) <= _DES_BYTES)

    return Stored(scheme, work, verify, lambda work, length: _spend(handler, work, length))


def _read(text: str, schemes: Iterable[str]) -> tuple[Any, Any]:
    """Find the handler that can read a hash: `$p5k2$` begins those of two, which differ in how they write salts.

    What the handler would write must be what was read: passlib's parsers also take `+1000` and `1_000` for rounds, and
    characters behind some digests. Hex may be in either case.
    """
    for scheme in schemes:
        handler = _handlers()[scheme]
        with suppress(Exception):  # passlib's parsers answer malformed hashes with ValueError, TypeError, IndexError
            if handler.identify(text):
                parsed = handler.from_string(text)
                if parsed.to_string().lower() == text.lower():
                    return handler, parsed
    return None, None


def _verify(handler: Any, password: bytes, text: str) -> bool | None:
    if b"\0" in password:
        return None  # HMAC pads short keys with NUL: to PBKDF2 and scrypt "password" and "password\0" are one password
    try:
        return bool(handler.verify(password, text))
    except Exception:  # a digest that is cut, a password that the scheme cannot hold
        return None


def _digestible(scheme: str, work: int, length: int) -> bool:
    return scheme not in _BY_LENGTH or work * (length + 64) <= _MAX_DIGESTED_BYTES


def _spend(handler: Any, work: int, length: int) -> None:
    """Hash a password of the same length, as its length may matter."""
    filler = _FILLER_CHAR * (length if _digestible(handler.name, work, length) else 1)
    if "rounds" not in handler.setting_kwds:
        handler.hash(filler)
        return
    log2 = handler.rounds_cost == "log2"
    for rounds in powers(work, handler.min_rounds) if log2 else [work]:
        handler.using(rounds=rounds, relaxed=True).hash(filler)
