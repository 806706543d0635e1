"""The hasher that an application already has, such as passlib's `CryptContext` or pwdlib's `PasswordHash`.

It is taken as it is. `GuardedHasher` gives it the promises of `PasswordHasher`: nothing foreign is raised, an unknown
user costs one real check, and so many hashes run at once and no more.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security._slots import Slots
from fastapi_patterns.security._text import MAX_PASSWORD_CHARS, encode, stored_text
from fastapi_patterns.security.errors import PasswordError

__all__ = ["GuardedHasher", "Hasher"]

T = TypeVar("T")


class Hasher(Protocol):
    """What a login needs of a hasher: `PasswordHasher`, passlib's `CryptContext`, pwdlib's `PasswordHash`, others."""

    def hash(self, password: str, /) -> str:
        """Hash a password with a fresh salt."""
        ...

    def verify(self, password: str, hash: str, /) -> bool:  # noqa: A002 (the field's word)
        """Tell whether a password is the one behind a hash."""
        ...

    def verify_and_update(self, password: str, hash: str, /) -> tuple[bool, str | None]:  # noqa: A002
        """Verify, and give a new hash to store when the old one is out of date."""
        ...


class GuardedHasher:
    """Another hasher, with the promises of `PasswordHasher`.

    What it accepts, what it costs and what it renews stay its own; a hash that asks for gigabytes is not refused here,
    and hashes of several costs are told apart by their time. `PasswordHasher` itself reads what both libraries write.

    Args:
        hasher: passlib's `CryptContext`, pwdlib's `PasswordHash`, or anything of that shape.
        max_concurrency: How many hashes are computed at once; others wait.

    Raises:
        ConfigurationError: The hasher cannot hash, as passlib's bcrypt cannot beside bcrypt 5.
    """

    def __init__(self, hasher: Hasher, *, max_concurrency: int = 4) -> None:
        self._hasher = hasher
        self._slots = Slots(max_concurrency)
        try:
            self._unmatchable = hasher.hash("a password that nobody has")
        except Exception as error:
            raise ConfigurationError(
                f"{type(hasher).__qualname__} must be able to hash a password, and raised {type(error).__name__}. "
                "passlib's bcrypt fails beside bcrypt 5: use PasswordHasher(), which verifies the hashes you have."
            ) from error

    def hash(self, password: str) -> str:
        """Hash a password.

        Raises:
            PasswordError: It is no Unicode text of at most 4,096 characters, or the hasher refuses it.
        """
        return self._slots.run(lambda: self._hash(password))

    def verify(self, password: str, hash: str | bytes | None) -> bool:  # noqa: A002
        """Tell whether a password is the one behind a hash; None, for an unknown user, costs one real check."""
        return self._slots.run(lambda: self._checked(self._hasher.verify, password, hash)) is True

    def verify_and_update(self, password: str, hash: str | bytes | None) -> tuple[bool, str | None]:  # noqa: A002
        """Verify, and give a new hash to store when the hasher makes one.

        Returns:
            `(ok, new_hash)`: store `new_hash` when it is not None.
        """
        return self._slots.run(lambda: self._verify_and_update(password, hash))

    async def ahash(self, password: str) -> str:
        """Do what `hash` does, in a thread."""
        return await self._slots.arun(lambda: self._hash(password))

    async def averify(self, password: str, hash: str | bytes | None) -> bool:  # noqa: A002
        """Do what `verify` does, in a thread."""
        return await self._slots.arun(lambda: self._checked(self._hasher.verify, password, hash)) is True

    async def averify_and_update(
        self,
        password: str,
        hash: str | bytes | None,  # noqa: A002
    ) -> tuple[bool, str | None]:
        """Do what `verify_and_update` does, in a thread."""
        return await self._slots.arun(lambda: self._verify_and_update(password, hash))

    def _hash(self, password: str) -> str:
        if encode(password) is None:
            raise PasswordError(f"a password must be valid Unicode text of at most {MAX_PASSWORD_CHARS} characters")
        try:
            return self._hasher.hash(password)
        except Exception as error:  # its text may hold the password
            name = type(error).__name__
        raise PasswordError(f"{type(self._hasher).__qualname__} refused the password with {name}")

    def _verify_and_update(self, password: str, hash: str | bytes | None) -> tuple[bool, str | None]:  # noqa: A002
        matched, renewed = self._checked(self._hasher.verify_and_update, password, hash) or (False, None)
        return (True, renewed) if matched is True else (False, None)

    def _checked(
        self,
        check: Callable[[str, str], T],
        password: str,
        hash: str | bytes | None,  # noqa: A002
    ) -> T | None:
        """Give the hasher's answer, or None at the cost of one check where it has none."""
        text = stored_text(hash)
        try:
            if text is not None and encode(password) is not None:
                return check(password, text)
        except Exception:  # UnknownHashError, ValueError, TypeError and others, whatever the hasher raises
            text = None
        self._spend()
        return None

    def _spend(self) -> None:
        self._hasher.verify("another password", self._unmatchable)

    def __repr__(self) -> str:
        return f"GuardedHasher({type(self._hasher).__qualname__})"
