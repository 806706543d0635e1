"""How secrets, passwords and stored hashes are read: as they come, or not at all."""

import re
from typing import Any, Protocol

from fastapi_patterns.security.errors import PasswordError

__all__ = ["MAX_PASSWORD_CHARS", "Secret", "encode", "encode_new", "reveal", "stored_text"]

# passlib's own limit for every scheme, and a bound on what a request can make a worker digest.
MAX_PASSWORD_CHARS = 4096
# Every scheme writes printable ASCII without blanks, and none as much as this.
_HASH = re.compile(r"[!-~]{1,2048}")


class Secret(Protocol):
    """What hides a text from logs, as pydantic's `SecretStr` and `SecretBytes` do."""

    def get_secret_value(self) -> str | bytes:
        """Give the text."""
        ...


def reveal(value: object) -> Any:
    """Give the text behind a `Secret`; anything else as it is."""
    get = getattr(value, "get_secret_value", None)
    return get() if callable(get) and not isinstance(value, type) else value


def encode(password: object) -> bytes | None:
    """Give a password's bytes; None for what is no text, no Unicode (lone surrogates) or too long."""
    password = reveal(password)
    if not isinstance(password, (str, bytes)) or len(password) > MAX_PASSWORD_CHARS:
        return None
    try:
        return password.encode() if isinstance(password, str) else password
    except UnicodeEncodeError:
        return None


def encode_new(password: object) -> bytes:
    """Give the bytes of a password that is to be hashed.

    Raises:
        PasswordError: It is no Unicode, or too long; the text is for the user.
        TypeError: It is no text: a mistake of the program, not of the user.
    """
    if not isinstance(reveal(password), (str, bytes)):
        raise TypeError(f"a password is a str, bytes or SecretStr; got {type(password).__name__}")
    encoded = encode(password)
    if encoded is None:
        raise PasswordError(f"a password must be valid Unicode text of at most {MAX_PASSWORD_CHARS} characters")
    return encoded


def stored_text(stored: object) -> str | None:
    """Read a stored hash, which a binary column gives as bytes or a memoryview; None for what cannot be one."""
    if isinstance(stored, (bytes, bytearray, memoryview)):
        stored = bytes(stored).decode("latin-1")
    return stored if isinstance(stored, str) and _HASH.fullmatch(stored) else None
