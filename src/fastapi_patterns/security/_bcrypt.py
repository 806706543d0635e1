"""Every form of bcrypt, verified with the `bcrypt` package itself.

passlib's bcrypt backend cannot be used: its self-test raises with bcrypt 5. Pure functions; a text that is not
one of these forms gives None or raises ValueError, which the caller takes for "does not match".
"""

import base64
import hashlib
import hmac
import re
from typing import NamedTuple

import bcrypt

__all__ = ["BcryptHash", "parse", "verify"]

# bcrypt reads 72 bytes. Versions before 5 ignored the rest, so that two long passwords could share one hash.
_READ_BYTES = 72

_PLAIN = re.compile(r"(?P<prefix>bcrypt\$|bcrypt_sha256\$\$?)?\$2[aby]?\$(?P<rounds>\d\d)\$[./A-Za-z0-9]{53}")
# passlib's bcrypt_sha256: version 2 keys the digest with the salt, version 1 (no `v=`) does not.
_PASSLIB_V2 = re.compile(
    r"\$bcrypt-sha256\$v=2,t=2b,r=(?P<rounds>\d{1,2})\$(?P<salt>[./A-Za-z0-9]{22})\$(?P<sum>[./A-Za-z0-9]{31})"
)
_PASSLIB_V1 = re.compile(
    r"\$bcrypt-sha256\$(?P<ident>2[aby]),(?P<rounds>\d{1,2})\$(?P<salt>[./A-Za-z0-9]{22})\$(?P<sum>[./A-Za-z0-9]{31})"
)


class BcryptHash(NamedTuple):
    """A bcrypt hash taken apart: the form of its text, its cost (log2 of the rounds) and the hash proper."""

    form: str
    rounds: int
    hashed: str
    salt: str


def parse(text: str) -> BcryptHash | None:
    """Take apart any form of bcrypt: `$2$ $2a$ $2b$ $2y$`, Django's two, passlib's bcrypt_sha256; else None."""
    if found := _PLAIN.fullmatch(text):
        prefix = found["prefix"] or ""
        form = "django_sha256" if prefix.startswith("bcrypt_sha256") else "plain"
        hashed = text.removeprefix("bcrypt_sha256$").removeprefix("bcrypt$").replace("$$", "$", 1)
        return BcryptHash(form, int(found["rounds"]), hashed, "")
    for form, pattern in (("passlib_v2", _PASSLIB_V2), ("passlib_v1", _PASSLIB_V1)):
        if found := pattern.fullmatch(text):
            rounds = int(found["rounds"])
            return BcryptHash(form, rounds, f"$2b${rounds:02d}${found['salt']}{found['sum']}", found["salt"])
    return None


def verify(password: bytes, target: BcryptHash, *, truncate: bool) -> bool:
    """Compare a password with a parsed hash.

    Args:
        password: The password's bytes.
        target: The hash, from `parse`.
        truncate: Ignore what follows the 72nd byte, as the software that made an older hash did. Otherwise a
            longer password does not match: ASVS 5.0 6.2.8 forbids truncation.

    Raises:
        ValueError: bcrypt itself refuses the hash or the password.
    """
    if target.form == "django_sha256":
        password = hashlib.sha256(password).hexdigest().encode()
    elif target.form == "passlib_v2":
        password = base64.b64encode(hmac.digest(target.salt.encode(), password, "sha256"))
    elif target.form == "passlib_v1":
        password = base64.b64encode(hashlib.sha256(password).digest())
    matches = bcrypt.checkpw(password[:_READ_BYTES], target.hashed.encode())
    return matches and (truncate or len(password) <= _READ_BYTES)
