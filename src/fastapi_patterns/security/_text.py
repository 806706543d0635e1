"""How passwords and stored hashes are read: as they come, or not at all."""

import re

__all__ = ["MAX_PASSWORD_CHARS", "encode", "stored_text"]

# passlib's own limit for every scheme, and a bound on what a request can make a worker digest.
MAX_PASSWORD_CHARS = 4096
# Every scheme writes printable ASCII without blanks, and none as much as this.
_HASH = re.compile(r"[!-~]{1,2048}")


def encode(password: object) -> bytes | None:
    """Give a password's bytes; None for what is no text, no Unicode (lone surrogates) or too long."""
    if not isinstance(password, (str, bytes)) or len(password) > MAX_PASSWORD_CHARS:
        return None
    try:
        return password.encode() if isinstance(password, str) else password
    except UnicodeEncodeError:
        return None


def stored_text(stored: object) -> str | None:
    """Read a stored hash, which a binary column gives as bytes or a memoryview; None for what cannot be one."""
    if isinstance(stored, (bytes, bytearray, memoryview)):
        stored = bytes(stored).decode("latin-1")
    return stored if isinstance(stored, str) and _HASH.fullmatch(stored) else None
