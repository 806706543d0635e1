"""Every form of bcrypt, read and written with the `bcrypt` package itself.

passlib's bcrypt backend cannot be used: its self-test raises with bcrypt 5. Nothing here raises on what is stored or
sent, but for a new password that the plain form cannot hold.
"""

import base64
import hashlib
import hmac
import re

import bcrypt

from fastapi_patterns.security._stored import FILLER, Stored, powers
from fastapi_patterns.security.errors import PasswordError
from fastapi_patterns.security.password_params import BcryptParams

__all__ = ["needs_update", "own", "parse", "write"]

# bcrypt reads 72 bytes. Versions before 5 ignored the rest, so that two long passwords could share one hash.
_READ_BYTES = 72
# Cost 14 takes about a second, and each one more doubles it.
_MAX_ROUNDS = 14
_LEAST_ROUNDS = 4

_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_PLAIN = re.compile(
    r"(?P<prefix>bcrypt\$|bcrypt_sha256\$\$?)?\$(?P<ident>2[aby]?)\$(?P<rounds>\d\d)"
    r"\$(?P<salt>[./A-Za-z0-9]{22})(?P<sum>[./A-Za-z0-9]{31})"
)
# passlib's bcrypt_sha256: version 2 keys the digest with the salt, version 1 (no `v=`) does not.
_PASSLIB = re.compile(
    r"\$bcrypt-sha256\$(?:(?P<v2>v=2,t=(?P<t>2[aby]),r=)|(?P<ident>2[aby]),)(?P<rounds>[1-9]\d?)"
    r"\$(?P<salt>[./A-Za-z0-9]{22})\$(?P<sum>[./A-Za-z0-9]{31})"
)


def write(password: bytes, params: BcryptParams) -> str:
    """Hash a password with a fresh salt, in the form that `params` names.

    Raises:
        PasswordError: The plain form cannot hold more than 72 bytes, nor NUL.
    """
    setting = bcrypt.gensalt(params.rounds)
    if params.scheme == "bcrypt_sha256":
        hashed = bcrypt.hashpw(_keyed(password, setting[7:].decode()), setting).decode()
        return f"$bcrypt-sha256$v=2,t=2b,r={params.rounds}${hashed[7:29]}${hashed[29:]}"
    if len(password) > _READ_BYTES:
        raise PasswordError(
            f"a password must have at most {_READ_BYTES} bytes in UTF-8 for bcrypt, which reads no more"
        )
    if b"\0" in password:
        raise PasswordError("a password must not hold NUL for bcrypt, which takes it for the end")
    return bcrypt.hashpw(password, setting).decode()


def own(params: BcryptParams) -> Stored:
    """Describe what a hasher with these parameters writes; it verifies nothing."""
    return Stored("bcrypt", 1 << params.rounds, lambda password: None, _spend)


def parse(text: str, params: BcryptParams | None, *, truncate: bool) -> Stored | None:
    """Take apart any form of bcrypt: `$2$ $2a$ $2b$ $2y$`, Django's two, passlib's bcrypt_sha256; else None.

    Args:
        text: The hash.
        params: What the hasher writes: that many rounds are always affordable.
        truncate: Ignore what follows the 72nd byte, as the software that made an older hash did. Otherwise a longer
            password does not match: ASVS 5.0 6.2.8 forbids truncation.
    """
    if found := _PLAIN.fullmatch(text):
        form = "django_sha256" if (found["prefix"] or "").startswith("bcrypt_sha256") else "bcrypt"
        form = form if found["ident"] != "2" else f"{form} without end"
    elif found := _PASSLIB.fullmatch(text):
        form = "bcrypt_sha256" if found["v2"] else "bcrypt_sha256 v1"
    else:
        return None
    rounds = int(found["rounds"])
    if not _LEAST_ROUNDS <= rounds <= max(_MAX_ROUNDS, params.rounds if params else 0):
        return None
    salt, checksum = found["salt"], found["sum"]
    target = f"$2b${rounds:02d}${_clean(salt, 4)}{_clean(checksum, 2)}".encode()
    return Stored(
        "bcrypt",
        1 << rounds,
        lambda password: _verify(password, form, salt, target, truncate=truncate),
        _spend,
    )


def needs_update(text: str, params: BcryptParams) -> bool:
    """Tell whether a hash is of another form than `write` writes, or of fewer rounds."""
    if params.scheme == "bcrypt":
        found = _PLAIN.fullmatch(text)
        same = found is not None and text.startswith("$2b$")
    else:
        found = _PASSLIB.fullmatch(text)
        same = found is not None and found["t"] == "2b"
    return not same or found is None or int(found["rounds"]) < params.rounds


def _verify(password: bytes, form: str, salt: str, target: bytes, *, truncate: bool) -> bool | None:
    if form.startswith("django_sha256"):
        password = hashlib.sha256(password).hexdigest().encode()
    elif form == "bcrypt_sha256":
        password = _keyed(password, _clean(salt, 4))
    elif form == "bcrypt_sha256 v1":
        password = base64.b64encode(hashlib.sha256(password).digest())
    elif b"\0" in password:
        return None  # bcrypt repeats a password with NUL between: to it "ab" and "ab\0ab" are one password
    whole = len(password) <= _READ_BYTES
    read = password[:_READ_BYTES]
    if form.endswith("without end") and read:
        # The first form repeated the password without NUL between; filling the 72 bytes leaves no room for it.
        read = (read * _READ_BYTES)[:_READ_BYTES]
    matches = bcrypt.checkpw(read, target)
    return matches and (truncate or whole)


def _keyed(password: bytes, salt: str) -> bytes:
    return base64.b64encode(hmac.digest(salt.encode(), password, "sha256"))


def _spend(work: int, length: int) -> None:
    for rounds in powers(work, _LEAST_ROUNDS):
        bcrypt.checkpw(FILLER, f"$2b${rounds:02d}${'.' * 53}".encode())


def _clean(text: str, unused_bits: int) -> str:
    """Clear the bits of the last character that stand for nothing; old software left anything there."""
    last = _ALPHABET.index(text[-1]) >> unused_bits << unused_bits
    return text[:-1] + _ALPHABET[last]
