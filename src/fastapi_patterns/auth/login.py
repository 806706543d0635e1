"""A login: find the user, verify the password at the same cost for everybody, and renew the hash."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["Guard", "LoginRules", "PasswordVerifier", "authenticate"]

UserT = TypeVar("UserT")

Guard = Callable[[str, str | None], "timedelta | Awaitable[timedelta | None] | None"]
"""From a user name and an address to how long to wait, or None to go on; asked before any hashing."""


class PasswordVerifier(Protocol):
    """What a login needs of a hasher: `PasswordHasher`, or another one in a `GuardedHasher`."""

    async def averify_and_update(self, password: str, hash: str | None) -> tuple[bool, str | None]:  # noqa: A002
        """Verify, at the same cost also when there is no hash, and give a new hash to store."""
        ...


def _password_hash(user: Any) -> Any:
    return _read(user, "password_hash")


def _set_password_hash(user: Any, new_hash: str) -> None:
    if isinstance(user, MutableMapping):
        user["password_hash"] = new_hash
    else:
        user.password_hash = new_hash


def _id(user: Any) -> Any:
    return _read(user, "id")


def _read(user: Any, name: str) -> Any:
    try:
        return user[name] if isinstance(user, Mapping) else getattr(user, name)
    except (KeyError, AttributeError):
        option = "subject" if name == "id" else name
        raise ConfigurationError(
            f"{type(user).__name__} has no {name}: say where it is, LoginRules({option}=lambda user: ...)"
        ) from None


@dataclass(frozen=True, kw_only=True)  # slots would break LoginRules[User](...)
class LoginRules(Generic[UserT]):
    """How an application's users log in.

    Args:
        passwords: Verifies passwords.
        password_hash: Reads a user's stored hash; `user.password_hash`, or that of a dict, by default.
        set_password_hash: Stores a new one, when the old is of an older scheme; None for users that cannot be changed.
            By default it sets the attribute: where a password may be reset at the same moment, write `UPDATE ... WHERE
            password_hash = :old` instead, or the login may put the hash of the old password back.
        subject: What tokens say of the user; `user.id` by default.
        is_active: Tells whether a user may log in; anything but True is no, and reads like a wrong password.
    """

    passwords: PasswordVerifier
    password_hash: Callable[[UserT], str | None] = _password_hash
    set_password_hash: Callable[[UserT, str], Any] | None = _set_password_hash
    subject: Callable[[UserT], Any] = _id
    is_active: Callable[[UserT], bool] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.passwords, type) or not callable(getattr(self.passwords, "averify_and_update", None)):
            got = self.passwords if isinstance(self.passwords, type) else type(self.passwords).__name__
            raise ConfigurationError(f"passwords must be a PasswordHasher, or a GuardedHasher around yours; got {got}")


async def authenticate(user: UserT | None, password: str, rules: LoginRules[UserT]) -> UserT | None:
    """Give the user back when the password is theirs and they may log in; None otherwise.

    An unknown user costs what a known one does, and so does one that is not active: neither the answer nor its time
    tells which accounts there are (ASVS 5.0 6.3.8).

    Args:
        user: Whom the application found, or None.
        password: As it was sent.
        rules: How to verify.
    """
    if user is False:  # what the usual copies give for "no"
        user = None
    stored = None if user is None else rules.password_hash(user)
    good, new_hash = await rules.passwords.averify_and_update(password, stored)
    if user is None or good is not True:
        return None
    if rules.is_active is not None and rules.is_active(user) is not True:
        return None
    if new_hash is not None and rules.set_password_hash is not None:
        changed = rules.set_password_hash(user, new_hash)
        if inspect.isawaitable(changed):
            await changed
    return user
