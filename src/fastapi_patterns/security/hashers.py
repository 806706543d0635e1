"""The hasher that an application already has, such as passlib's `CryptContext` or pwdlib's `PasswordHash`.

It is taken as it is. `GuardedHasher` gives it the promises of `PasswordHasher`: nothing foreign is raised, an unknown
user costs one real check, and so many hashes run at once and no more.
"""

import logging
import warnings
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security._slots import Slots
from fastapi_patterns.security._text import Secret, encode, encode_new, reveal, stored_text
from fastapi_patterns.security.errors import PasswordError

__all__ = ["GuardedHasher", "Hasher"]

T = TypeVar("T")

_log = logging.getLogger("fastapi_patterns.security")

_NOBODYS = "a password that nobody has"


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

    What the hasher raises is an ERROR in the log, once for each class of exception and without its text: nobody whose
    hash does so can log in.

    Raises:
        ConfigurationError: The hasher cannot hash or verify, or one of a `CryptContext`'s schemes cannot, as passlib's
            bcrypt cannot beside bcrypt 5. Each scheme is tried with its least cost.
    """

    def __init__(self, hasher: Hasher, *, max_concurrency: int = 4) -> None:
        self._hasher = hasher
        self._slots = Slots(max_concurrency)
        self._logged: set[type[Exception]] = set()
        try:
            self._unmatchable = hasher.hash(_NOBODYS)
            verdict = hasher.verify(_NOBODYS, self._unmatchable)
        except Exception as error:
            raise ConfigurationError(
                f"{type(hasher).__qualname__} must be able to hash a password and to verify it, and raised "
                f"{type(error).__name__}. passlib's bcrypt fails beside bcrypt 5, and argon2-cffi's verify takes the "
                "hash first: use PasswordHasher(), which verifies the hashes you have."
            ) from error
        if verdict is not True:
            raise ConfigurationError(
                f"{type(hasher).__qualname__}.verify(password, hash) must give True for the right password; "
                f"it gave {type(verdict).__name__}"
            )
        _check_schemes(hasher)

    def hash(self, password: str | bytes | Secret) -> str:
        """Hash a password.

        Raises:
            PasswordError: It is no Unicode text of at most 4,096 characters, or the hasher refuses it.
            TypeError: It is no text.
        """
        return self._slots.run(lambda: self._hash(password))

    def verify(self, password: str | bytes | Secret, hash: str | bytes | None) -> bool:  # noqa: A002
        """Tell whether a password is the one behind a hash; None, for an unknown user, costs one real check."""
        return self._slots.run(lambda: self._checked(self._hasher.verify, password, hash)) is True

    def verify_and_update(self, password: str | bytes | Secret, hash: str | bytes | None) -> tuple[bool, str | None]:  # noqa: A002
        """Verify, and give a new hash to store when the hasher makes one.

        Returns:
            `(ok, new_hash)`: store `new_hash` when it is not None.
        """
        return self._slots.run(lambda: self._verify_and_update(password, hash))

    async def ahash(self, password: str | bytes | Secret) -> str:
        """Do what `hash` does, in a thread."""
        return await self._slots.arun(lambda: self._hash(password))

    async def averify(self, password: str | bytes | Secret, hash: str | bytes | None) -> bool:  # noqa: A002
        """Do what `verify` does, in a thread."""
        return await self._slots.arun(lambda: self._checked(self._hasher.verify, password, hash)) is True

    async def averify_and_update(
        self,
        password: str | bytes | Secret,
        hash: str | bytes | None,  # noqa: A002
    ) -> tuple[bool, str | None]:
        """Do what `verify_and_update` does, in a thread."""
        return await self._slots.arun(lambda: self._verify_and_update(password, hash))

    def _hash(self, password: str | bytes | Secret) -> str:
        encode_new(password)
        try:
            return self._hasher.hash(reveal(password))
        except Exception as error:  # its text may hold the password
            name = type(error).__name__
        raise PasswordError(f"{type(self._hasher).__qualname__} refused the password with {name}")

    def _verify_and_update(self, password: str | bytes | Secret, hash: str | bytes | None) -> tuple[bool, str | None]:  # noqa: A002
        matched, renewed = self._checked(self._hasher.verify_and_update, password, hash) or (False, None)
        return (True, renewed) if matched is True else (False, None)

    def _checked(
        self,
        check: Callable[[Any, str], T],
        password: str | bytes | Secret,
        hash: str | bytes | None,  # noqa: A002
    ) -> T | None:
        """Give the hasher's answer, or None at the cost of one check where it has none."""
        text = stored_text(hash)
        try:
            if text is not None and encode(password) is not None:
                return check(reveal(password), text)
        except Exception as error:  # UnknownHashError, ValueError, TypeError and others, whatever the hasher raises
            self._tell(type(error))
        self._spend()
        return None

    def _tell(self, raised: type[Exception]) -> None:
        """Log a class of exception once; the exception's own text may hold the hash or the password."""
        if raised in self._logged:
            return
        self._logged.add(raised)
        _log.error(
            "%s raised %s.%s while it checked a password%s: such a login always fails. PasswordHasher() reads more "
            "kinds of hashes, bcrypt among them. This is logged once",
            type(self._hasher).__qualname__,
            raised.__module__,
            raised.__qualname__,
            " against a hash of an unknown kind" if raised.__name__ == "UnknownHashError" else "",
        )

    def _spend(self) -> None:
        self._hasher.verify("another password", self._unmatchable)

    def __repr__(self) -> str:
        return f"GuardedHasher({type(self._hasher).__qualname__})"


def _check_schemes(hasher: Any) -> None:
    """Try each scheme of a passlib `CryptContext`, which loads a scheme's code when the first hash of it is met."""
    schemes, handler_of = getattr(hasher, "schemes", None), getattr(hasher, "handler", None)
    if not callable(schemes) or not callable(handler_of):
        return
    named: Any = schemes()
    broken = {}
    for scheme in named:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                handler = _cheapest(handler_of(scheme))
                handler.verify(_NOBODYS, handler.hash(_NOBODYS))
        except Exception as error:
            broken[scheme] = type(error).__name__
    if broken:
        listed = ", ".join(f"{scheme} ({error})" for scheme, error in broken.items())
        raise ConfigurationError(
            f"{type(hasher).__qualname__} cannot verify hashes of {listed}: every password would be wrong. "
            "passlib's bcrypt fails beside bcrypt 5, and schemes that need the user's name cannot be used here. "
            "Use PasswordHasher(), which verifies bcrypt hashes, or take the scheme out."
        )


def _cheapest(handler: Any) -> Any:
    """Give the scheme with its least cost, so that all are tried in milliseconds."""
    if hasattr(handler, "get_backend"):
        handler.get_backend()  # or what is made of the handler below would keep passlib's placeholder for the code
    settings = getattr(handler, "setting_kwds", ())
    least = {"rounds": max(handler.min_rounds, 1)} if "rounds" in settings else {}
    if "memory_cost" in settings:
        least |= {"memory_cost": 8, "parallelism": 1}
    return handler.using(**least) if least else handler
