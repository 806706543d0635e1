"""Password hashing: argon2id for new passwords, every usual older scheme for the ones that are there.

Verifying never raises: what cannot match is a plain False, at the cost of a real check, so that neither the
answer nor its time tells which accounts exist. Passwords are taken exactly as they come (ASVS 5.0 6.2.8).
"""

import re
from functools import cache

import argon2
from argon2.exceptions import InvalidHashError

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import _bcrypt, _legacy
from fastapi_patterns.security.errors import PasswordError

__all__ = ["PasswordHasher", "hash_password", "verify_password"]

# What a stored hash may ask for before it is refused unchecked: 1 GiB, 16 passes, 16 lanes; bcrypt cost 15 is
# about two seconds. Without a cap one bad row costs gigabytes (m=4194304 takes 4.1 GiB).
_MAX_MEMORY_KIB, _MAX_PASSES, _MAX_LANES = 1_048_576, 16, 16
_MAX_BCRYPT_ROUNDS = 15
# What LDAP servers write in front of a hash in its usual form (RFC 2307 section 5.3).
_LDAP_WORD = re.compile(r"\{(crypt|argon2)\}", re.IGNORECASE)
# passlib's own limit for every scheme, and a bound on what a request can make a worker digest.
_MAX_PASSWORD_CHARS = 4096


class PasswordHasher:
    """Hashes with argon2id, and verifies whatever the application's users already have.

    Verified: argon2 of every kind, bcrypt of every kind (`$2a$`, `$2b$`, `$2y$`, Django's, passlib's bcrypt_sha256),
    and through passlib every scheme that has a salt: pbkdf2 in all its forms, scrypt, the crypt schemes, phpass,
    Django's and LDAP's salted ones and more; the page on passwords lists them.

    Args:
        time_cost: Passes over the memory.
        memory_cost: Memory of one call in KiB. The default takes 64 MiB and about 100 to 300 ms.
        parallelism: Lanes.
        truncate_bcrypt: Let a bcrypt hash match by the first 72 bytes of a longer password. bcrypt before
            version 5 hashed such passwords that way; set it when an application's users may have them. DES crypt
            does the same with 8 bytes.

    Raises:
        ConfigurationError: A parameter is out of argon2's range.

    Source: the defaults are the second recommended option of RFC 9106 section 4, above the minimum of ASVS 5.0.
    """

    def __init__(
        self,
        *,
        time_cost: int = 3,
        memory_cost: int = 65536,
        parallelism: int = 4,
        truncate_bcrypt: bool = False,
    ) -> None:
        if time_cost < 1 or parallelism < 1 or memory_cost < 8 * parallelism:
            raise ConfigurationError(
                "argon2 needs time_cost >= 1, parallelism >= 1 and memory_cost (KiB) >= 8 * parallelism; "
                f"got time_cost={time_cost}, memory_cost={memory_cost}, parallelism={parallelism}"
            )
        self._argon2 = argon2.PasswordHasher(time_cost=time_cost, memory_cost=memory_cost, parallelism=parallelism)
        self._truncate_bcrypt = truncate_bcrypt
        self._unmatchable: str | None = None

    def hash(self, password: str | bytes) -> str:
        """Hash a password with argon2id and a fresh salt.

        Raises:
            PasswordError: The text holds lone surrogates or is longer than 4,096 characters.
        """
        encoded = _encode(password)
        if encoded is None:
            raise PasswordError(f"a password must be valid Unicode text of at most {_MAX_PASSWORD_CHARS} characters")
        return self._argon2.hash(encoded)

    def verify(self, password: str | bytes, hash: str | bytes | None) -> bool:  # noqa: A002 (the field's word)
        """Tell whether `password` is the one behind `hash`, which may be bytes, as a binary column gives it.

        Never raises on bad input: an empty, unknown or damaged hash is False, and so is None or anything else that is
        no text. Those cost one real argon2id check, so that a login for an unknown user (`verify(password, None)`)
        takes as long as another.
        """
        encoded, text = _encode(password), _text(hash)
        answer = None if encoded is None or not text else self._verdict(encoded, text)
        if answer is None:
            self._spend(encoded)
            return False
        return answer

    def verify_and_update(
        self,
        password: str | bytes,
        hash: str | bytes | None,  # noqa: A002
    ) -> tuple[bool, str | None]:
        """Verify, and hash anew when the stored hash is of an older scheme or another cost.

        Returns:
            `(ok, new_hash)`: store `new_hash` when it is not None. It is only ever made after a success.
        """
        if not self.verify(password, hash):
            return False, None
        return True, self.hash(password) if hash is None or self.needs_update(hash) else None

    def needs_update(self, hash: str | bytes) -> bool:  # noqa: A002
        """Tell whether a hash is of another scheme or other parameters than this hasher writes."""
        try:
            return self._argon2.check_needs_rehash(_text(hash) or "")
        except InvalidHashError:
            return True

    def _verdict(self, encoded: bytes, text: str) -> bool | None:
        """Give the verdict, or None when the hash cannot be checked at all."""
        if found := _LDAP_WORD.match(text):
            text = text[found.end() :]
        if text.startswith(("$argon2", "argon2$argon2")):
            # Django writes a word of its own in front of the standard form.
            return _verify_argon2(encoded, text.removeprefix("argon2"))
        try:
            if target := _bcrypt.parse(text):
                affordable = target.rounds <= _MAX_BCRYPT_ROUNDS
                return _bcrypt.verify(encoded, target, truncate=self._truncate_bcrypt) if affordable else None
            return _legacy.verify(encoded, text, truncate=self._truncate_bcrypt)
        except Exception:  # passlib answers damaged hashes with IndexError and others too
            return None

    def _spend(self, encoded: bytes | None) -> None:
        if self._unmatchable is None:
            self._unmatchable = self._argon2.hash("a password that nobody has")
        _verify_argon2(encoded or b"", self._unmatchable)

    def __repr__(self) -> str:
        made = self._argon2
        return (
            f"PasswordHasher(time_cost={made.time_cost}, memory_cost={made.memory_cost}, "
            f"parallelism={made.parallelism})"
        )


def _encode(password: object) -> bytes | None:
    if not isinstance(password, (str, bytes)) or len(password) > _MAX_PASSWORD_CHARS:
        return None
    try:
        return password.encode() if isinstance(password, str) else password
    except UnicodeEncodeError:
        return None


def _text(stored: object) -> str | None:
    """Read a stored hash, which a binary column gives as bytes or a memoryview."""
    if isinstance(stored, (bytes, bytearray, memoryview)):
        try:
            return bytes(stored).decode("ascii")
        except UnicodeDecodeError:
            return None
    return stored if isinstance(stored, str) else None


def _verify_argon2(encoded: bytes, text: str) -> bool | None:
    try:
        asked = argon2.extract_parameters(text)
        if asked.memory_cost > _MAX_MEMORY_KIB or asked.time_cost > _MAX_PASSES or asked.parallelism > _MAX_LANES:
            return None
        return argon2.low_level.verify_secret(text.encode(), encoded, asked.type)
    except argon2.exceptions.VerifyMismatchError:
        return False
    except Exception:  # a damaged hash: ValueError, and whatever the C library makes of it
        return None


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


def hash_password(password: str | bytes) -> str:
    """Hash a password with argon2id: `PasswordHasher().hash` under its usual name.

    Raises:
        PasswordError: The text holds lone surrogates or is longer than 4,096 characters.
    """
    return _hasher().hash(password)


def verify_password(plain_password: str | bytes, hashed_password: str | bytes | None) -> bool:
    """Tell whether a password is the one behind a hash: `PasswordHasher().verify` under its usual name.

    Never raises on bad input; see `PasswordHasher.verify`.
    """
    return _hasher().verify(plain_password, hashed_password)
