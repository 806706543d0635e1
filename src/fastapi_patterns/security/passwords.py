"""Password hashing: argon2id for new passwords, every usual older scheme for the ones that are there.

Verifying never raises: what cannot match is a plain False, at the cost of a real check, so that neither the
answer nor its time tells which accounts exist. Passwords are taken exactly as they come (ASVS 5.0 6.2.8).
"""

import re
from collections.abc import Collection
from functools import cache

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import _argon2, _bcrypt, _legacy, _scrypt
from fastapi_patterns.security._slots import Slots
from fastapi_patterns.security._stored import Spend, Stored
from fastapi_patterns.security._text import Secret, encode, encode_new, stored_text
from fastapi_patterns.security.errors import PasswordError
from fastapi_patterns.security.password_params import Argon2Params, BcryptParams

__all__ = ["PasswordHasher", "hash_password", "verify_password"]

# What others write in front of a hash in its usual form: LDAP servers (RFC 2307 section 5.3) and Spring Security.
_WORD = re.compile(r"\{(crypt|argon2|bcrypt)\}", re.IGNORECASE)


class PasswordHasher:
    """Hashes with argon2id or bcrypt, and verifies whatever the application's users already have.

    Verified: argon2 of every kind, bcrypt of every kind (`$2a$`, `$2b$`, `$2y$`, Django's, passlib's bcrypt_sha256),
    scrypt as passlib, Django and Werkzeug write it, and through passlib every scheme that has a salt: pbkdf2 in all its
    forms, the crypt schemes, phpass, Django's and LDAP's salted ones and more; the page on passwords lists them.

    A failed check, an unknown user's included, costs one check of what this hasher writes and one of each other kind
    of hash that it has met: equal work, whichever kind the stored hash is of, and none is skipped.

    Args:
        params: The scheme and cost of new hashes: `Argon2Params.RFC9106` (the default), `Argon2Params.OWASP`,
            `BcryptParams(rounds=12)`, or `Argon2Params.FOR_TESTS_ONLY` in tests.
        truncate_bcrypt: Let a bcrypt hash match by the first 72 bytes of a longer password. bcrypt before
            version 5 hashed such passwords that way; set it when an application's users may have them. DES crypt
            does the same with 8 bytes.
        also_unsalted: Schemes without a salt that are verified too, by passlib's names: `"hex_md5"`, `"nthash"` and
            others. A leaked table of these is as good as its passwords, so that they have to be named.
        max_concurrency: How many hashes are computed at once; others wait. One takes `memory_cost`: 4 take 256 MiB with
            the default parameters, however many logins arrive.

    Raises:
        ConfigurationError: `params` is of another type, `max_concurrency` is less than 1, or `also_unsalted` holds an
            unknown name or two schemes that cannot be told apart.

    Source: the defaults are the second recommended option of RFC 9106 section 4, above the minimum of ASVS 5.0.
    """

    def __init__(
        self,
        params: Argon2Params | BcryptParams | None = None,
        *,
        truncate_bcrypt: bool = False,
        also_unsalted: Collection[str] = (),
        max_concurrency: int = 4,
    ) -> None:
        _check_names(also_unsalted)
        params = Argon2Params.RFC9106 if params is None else params
        _check_params(params)
        self._params = params
        self._argon2 = params if isinstance(params, Argon2Params) else None
        self._bcrypt = params if isinstance(params, BcryptParams) else None
        self._truncate = truncate_bcrypt
        self._unsalted = tuple(also_unsalted)
        self._max_concurrency = max_concurrency
        self._slots = Slots(max_concurrency)
        own = _argon2.own(params) if isinstance(params, Argon2Params) else _bcrypt.own(params)
        # Of each kind the most work that was met, and how to do it: of what is written from the start.
        self._costliest: dict[str, tuple[int, Spend]] = {own.kind: (own.work, own.spend)}

    def hash(self, password: str | bytes | Secret) -> str:
        """Hash a password with a fresh salt.

        Raises:
            PasswordError: The text holds lone surrogates or is longer than 4,096 characters; or the scheme is plain
                bcrypt and the password has more than 72 bytes or holds NUL.
            TypeError: It is no text.
        """
        encoded = encode_new(password)
        return self._slots.run(lambda: self._hash(encoded))

    def verify(self, password: str | bytes | Secret, hash: str | bytes | None) -> bool:  # noqa: A002 (the field's word)
        """Tell whether `password` is the one behind `hash`, which may be bytes, as a binary column gives it.

        Never raises on bad input: an empty, unknown or damaged hash is False, and so is None or anything else that is
        no text. Those cost a real check, so that a login for an unknown user (`verify(password, None)`) takes as long
        as another.
        """
        return self._slots.run(lambda: self._verify(password, hash))

    def verify_and_update(
        self,
        password: str | bytes | Secret,
        hash: str | bytes | None,  # noqa: A002
    ) -> tuple[bool, str | None]:
        """Verify, and hash anew when `needs_update` says so.

        Returns:
            `(ok, new_hash)`: store `new_hash` when it is not None. It is only ever made after a success.
        """
        return self._slots.run(lambda: self._verify_and_update(password, hash))

    def needs_update(self, hash: str | bytes) -> bool:  # noqa: A002
        """Tell whether a hash is of another scheme or form than this hasher writes, or cheaper.

        A hash of the same scheme that costs more is left as it is: no login makes a hash weaker.
        """
        text = stored_text(hash) or ""
        if isinstance(self._params, Argon2Params):
            return _argon2.needs_update(text, self._params)
        return _bcrypt.needs_update(text, self._params)

    async def ahash(self, password: str | bytes | Secret) -> str:
        """Do what `hash` does, in a thread: of `max_concurrency` together with all other calls."""
        encoded = encode_new(password)
        return await self._slots.arun(lambda: self._hash(encoded))

    async def averify(self, password: str | bytes | Secret, hash: str | bytes | None) -> bool:  # noqa: A002
        """Do what `verify` does, in a thread: of `max_concurrency` together with all other calls."""
        return await self._slots.arun(lambda: self._verify(password, hash))

    async def averify_and_update(
        self,
        password: str | bytes | Secret,
        hash: str | bytes | None,  # noqa: A002
    ) -> tuple[bool, str | None]:
        """Do what `verify_and_update` does, in a thread: of `max_concurrency` together with all other calls."""
        return await self._slots.arun(lambda: self._verify_and_update(password, hash))

    def _hash(self, encoded: bytes) -> str:
        if isinstance(self._params, Argon2Params):
            return _argon2.write(encoded, self._params)
        return _bcrypt.write(encoded, self._params)

    def _verify(self, password: object, hash: object) -> bool:  # noqa: A002
        encoded, text = encode(password), stored_text(hash)
        stored = None if text is None else self._find(text)
        if stored is not None:
            self._meet(stored)
        verdict = None if stored is None or encoded is None else stored.verify(encoded)
        if not verdict:
            self._top_up(None if verdict is None else stored, 0 if encoded is None else len(encoded))
        return verdict is True

    def _verify_and_update(self, password: object, hash: str | bytes | None) -> tuple[bool, str | None]:  # noqa: A002
        if not self._verify(password, hash) or hash is None:
            return False, None
        if not self.needs_update(hash):
            return True, None
        try:
            return True, self._hash(encode_new(password))
        except PasswordError:  # plain bcrypt cannot hold it; the hash that does stays
            return True, None

    def _find(self, text: str) -> Stored | None:
        """Take a hash apart; None for one that cannot be checked at all."""
        if found := _WORD.match(text):
            text = text[found.end() :]
        if text.startswith(("$argon2", "argon2$argon2")):
            # Django writes a word of its own in front of the standard form.
            return _argon2.parse(text.removeprefix("argon2"), self._argon2)
        return (
            _bcrypt.parse(text, self._bcrypt, truncate=self._truncate)
            or _scrypt.parse(text)
            or _legacy.parse(text, truncate=self._truncate, unsalted=self._unsalted)
        )

    def _meet(self, stored: Stored) -> None:
        """Remember the costliest check of each kind, nothing of the hash; a lost race is made up for at the next."""
        if stored.work > self._costliest.get(stored.kind, (0, None))[0]:
            self._costliest = {**self._costliest, stored.kind: (stored.work, stored.spend)}

    def _top_up(self, done: Stored | None, length: int) -> None:
        """Do what is left of one check of every kind after the one that was done."""
        for kind, (work, spend) in self._costliest.items():
            left = work - (done.work if done is not None and done.kind == kind else 0)
            if left > 0:
                spend(left, length)

    def __repr__(self) -> str:
        return f"PasswordHasher({self._params!r}, max_concurrency={self._max_concurrency})"


def _check_params(params: object) -> None:
    if isinstance(params, (Argon2Params, BcryptParams)):
        return
    if hasattr(params, "verify_and_update") and not isinstance(params, type):
        raise ConfigurationError(f"use GuardedHasher({type(params).__name__}(...)) to keep a hasher that you have")
    raise ConfigurationError(
        "params must be the cost of new hashes, such as Argon2Params.OWASP, Argon2Params(time_cost=4) or "
        f"BcryptParams(rounds=12); got {params!r:.60}"
    )


def _check_names(unsalted: Collection[str]) -> None:
    if isinstance(unsalted, str) or not {*_legacy.UNSALTED}.issuperset(unsalted):
        raise ConfigurationError(
            f"also_unsalted takes a list of names out of {', '.join(_legacy.UNSALTED)}; got {unsalted!r}"
        )
    if len({*_legacy.LOOKALIKES}.intersection(unsalted)) > 1:
        raise ConfigurationError(
            f"also_unsalted takes one of {', '.join(_legacy.LOOKALIKES)}, which cannot be told apart; got {unsalted!r}"
        )


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


def hash_password(password: str | bytes | Secret) -> str:
    """Hash a password with argon2id: `PasswordHasher().hash` under its usual name.

    Raises:
        PasswordError: The text holds lone surrogates or is longer than 4,096 characters.
        TypeError: It is no text.
    """
    return _hasher().hash(password)


def verify_password(plain_password: str | bytes | Secret, hashed_password: str | bytes | None) -> bool:
    """Tell whether a password is the one behind a hash: `PasswordHasher().verify` under its usual name.

    Never raises on bad input; see `PasswordHasher.verify`.
    """
    return _hasher().verify(plain_password, hashed_password)
