"""What passlib cannot read and `hashlib` can: scrypt as Django and Werkzeug write it, and Werkzeug's PBKDF2.

    scrypt$16384$salt$8$1$base64          Django
    scrypt:32768:8:1$salt$hex             Werkzeug, and so Flask
    pbkdf2:sha256:600000$salt$hex         Werkzeug before 3

All of them use the text of the salt. A text that is none of these, or that asks for too much, gives None.
"""

import base64
import hashlib
import hmac
import re

from fastapi_patterns.security._stored import FILLER, Stored, powers

__all__ = ["affordable", "parse", "spend", "work_of"]

# 128 MiB at once, four times what passlib's default asks for, and 512 MiB in all its lanes: about a second.
_MAX_BYTES, _MAX_BYTES_IN_ALL = 128 * 1024 * 1024, 512 * 1024 * 1024
_MAX_PBKDF2_ROUNDS = {"sha1": 4_000_000, "sha256": 4_000_000, "sha512": 2_000_000}
# What the time is spent with: 128 * 2**17 * 8 bytes are the most.
_BLOCK, _MAX_EXPONENT = 8, 17

_DJANGO = re.compile(
    r"scrypt\$(?P<n>[1-9]\d{0,9})\$(?P<salt>[^$]{1,128})\$(?P<r>[1-9]\d{0,3})\$(?P<p>[1-9]\d{0,3})\$(?P<tag>[A-Za-z0-9+/]{86}==)"
)
_WERKZEUG = re.compile(
    r"scrypt:(?P<n>[1-9]\d{0,9}):(?P<r>[1-9]\d{0,3}):(?P<p>[1-9]\d{0,3})\$(?P<salt>[^$]{1,128})\$(?P<tag>[0-9a-f]{128})"
)
_WERKZEUG_PBKDF2 = re.compile(
    r"pbkdf2:(?P<digest>sha1|sha256|sha512):(?P<rounds>[1-9]\d{0,9})\$(?P<salt>[^$]{1,128})\$(?P<tag>[0-9a-f]+)"
)


def parse(text: str) -> Stored | None:
    """Take apart one of the three forms."""
    if found := _WERKZEUG_PBKDF2.fullmatch(text):
        return _pbkdf2(found)
    django = _DJANGO.fullmatch(text)
    if not (found := django or _WERKZEUG.fullmatch(text)):
        return None
    n, r, p = int(found["n"]), int(found["r"]), int(found["p"])
    if not affordable(n, r, p):
        return None
    tag = base64.b64decode(found["tag"]) if django else bytes.fromhex(found["tag"])
    salt = found["salt"].encode()

    def verify(password: bytes) -> bool | None:
        if b"\0" in password:
            return None  # HMAC pads short keys with NUL: to it "password" and "password\0" are one password
        try:
            made = hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=2 * _MAX_BYTES, dklen=64)
        except ValueError:  # OpenSSL refuses what RFC 7914 section 2 does: N is no power of two, or too large for r
            return None
        return hmac.compare_digest(made, tag)

    return Stored("scrypt", work_of(n, r, p), verify, spend)


def _pbkdf2(found: re.Match[str]) -> Stored | None:
    digest, rounds, salt = found["digest"], int(found["rounds"]), found["salt"].encode()
    if rounds > _MAX_PBKDF2_ROUNDS[digest] or len(found["tag"]) != 2 * hashlib.new(digest).digest_size:
        return None
    tag = bytes.fromhex(found["tag"])

    def verify(password: bytes) -> bool | None:
        if b"\0" in password:
            return None
        return hmac.compare_digest(hashlib.pbkdf2_hmac(digest, password, salt, rounds), tag)

    def spend_rounds(work: int, length: int) -> None:
        hashlib.pbkdf2_hmac(digest, FILLER, salt, work)

    return Stored(f"pbkdf2 {digest}", rounds, verify, spend_rounds)


def affordable(n: int, r: int, p: int) -> bool:
    """Tell whether scrypt may take this much (RFC 7914 section 2: memory is 128 * N * r bytes)."""
    return 128 * n * r <= _MAX_BYTES and 128 * n * r * p <= _MAX_BYTES_IN_ALL


def work_of(n: int, r: int, p: int) -> int:
    """Count scrypt's work: blocks mixed."""
    return n * r * p


def spend(work: int, length: int) -> None:
    """Work as long as scrypt takes for so many blocks, with no more memory than a hash may ask for."""
    for exponent in powers(work // _BLOCK, 1):
        at_once = min(exponent, _MAX_EXPONENT)
        n, p = 1 << at_once, 1 << (exponent - at_once)
        hashlib.scrypt(FILLER, salt=FILLER, n=n, r=_BLOCK, p=p, maxmem=2 * _MAX_BYTES, dklen=64)
