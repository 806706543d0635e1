"""The hasher that an application already has, with our promises: passlib's, pwdlib's and any of that shape."""

import asyncio
import logging
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretBytes, SecretStr

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Argon2Params, GuardedHasher, Hasher, PasswordError, PasswordHasher

# passlib can still use older ones.
NEEDS_BCRYPT_5 = pytest.mark.skipif(version("bcrypt").startswith(("3.", "4.")), reason="needs bcrypt 5")
PASSWORD = "correct horse battery staple"


class PwdlibLike:
    """pwdlib's `PasswordHash` as far as it goes: its signatures, and its exceptions."""

    def __init__(self) -> None:
        self.checked: list[str | bytes] = []
        self._hasher = PasswordHasher(Argon2Params.FOR_TESTS_ONLY)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Hash, and refuse what pwdlib refuses."""
        if password == "refused":
            raise ValueError(f"{password} is refused")
        return self._hasher.hash(password)

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002
        """Verify, or raise on a hash that is unknown."""
        self.checked.append(password)
        if not isinstance(hash, str) or not hash.startswith("$argon2"):
            raise LookupError(f"unknown hash {hash!r}")
        return self._hasher.verify(password, hash)

    def verify_and_update(self, password: str | bytes, hash: str | bytes) -> tuple[bool, str | None]:  # noqa: A002
        """Verify, and renew what is not argon2id."""
        matched = self.verify(password, hash)
        return matched, self.hash(password) if matched and "argon2id" not in str(hash) else None


def context() -> Any:
    """passlib's `CryptContext` with two schemes, the older one to be renewed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from passlib.context import CryptContext

        return CryptContext(
            ["pbkdf2_sha256", "sha256_crypt"],
            deprecated="auto",
            pbkdf2_sha256__rounds=10,
            sha256_crypt__rounds=1000,
        )


MAKERS: dict[str, Callable[[], Hasher]] = {
    "CryptContext": context,
    "PasswordHash": PwdlibLike,
    "PasswordHasher": lambda: PasswordHasher(Argon2Params.FOR_TESTS_ONLY),
}


@pytest.fixture(params=MAKERS)
def guarded(request: pytest.FixtureRequest) -> GuardedHasher:
    """Each of them, guarded."""
    return GuardedHasher(MAKERS[request.param]())


@pytest.mark.filterwarnings("ignore::DeprecationWarning:passlib")
def test_an_existing_hasher_goes_on_working(guarded: GuardedHasher) -> None:
    """Its hashes are its own, and the right password matches."""
    stored = guarded.hash(PASSWORD)
    assert guarded.verify(PASSWORD, stored) is True
    assert guarded.verify(PASSWORD, stored.encode()) is True
    assert guarded.verify("wrong", stored) is False
    assert guarded.verify_and_update(PASSWORD, stored) == (True, None)
    assert guarded.verify_and_update("wrong", stored) == (False, None)


def test_coroutines_do_what_functions_do(guarded: GuardedHasher) -> None:
    """The three methods, awaited."""

    async def use() -> None:
        stored = await guarded.ahash(PASSWORD)
        assert await guarded.averify(PASSWORD, stored) is True
        assert await guarded.averify(PASSWORD, None) is False
        assert await guarded.averify_and_update(PASSWORD, stored) == (True, None)
        with pytest.raises(PasswordError):
            await guarded.ahash("\ud800")

    asyncio.run(use())


def test_an_outdated_hash_is_renewed_by_the_hasher() -> None:
    """passlib's `deprecated` decides, as before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from passlib.hash import sha256_crypt

        stored = sha256_crypt.using(rounds=1000).hash(PASSWORD)
    matched, renewed = GuardedHasher(context()).verify_and_update(PASSWORD, stored)
    assert matched is True
    assert renewed is not None
    assert renewed.startswith("$pbkdf2-sha256$")


@pytest.mark.parametrize("stored", [None, "", "!", "plaintext", "$2b$04$", b"\xff", 5, "$5$rounds=1000$x"], ids=repr)
@pytest.mark.parametrize(
    "password", [PASSWORD, "\ud800", "x" * 4097, "nul\0inside", None, 5], ids=lambda p: repr(p)[:9]
)
def test_nothing_foreign_is_raised(stored: Any, password: Any, guarded: GuardedHasher) -> None:
    """What passlib answers with TypeError and pwdlib with an exception of its own is a clean False."""
    assert guarded.verify(password, stored) is False
    assert guarded.verify_and_update(password, stored) == (False, None)


@given(st.text(max_size=20), st.text(max_size=40) | st.binary(max_size=40) | st.none())
def test_no_text_raises(password: str, stored: str | bytes | None) -> None:
    """Whatever is sent and stored, there is a verdict."""
    assert SHARED.verify(password, stored) is False


SHARED = GuardedHasher(context())


@pytest.mark.parametrize("stored", [None, "", "$2b$04$", b"\xff"], ids=repr)
@pytest.mark.parametrize("password", [PASSWORD, "\ud800", "x" * 5000], ids=lambda p: repr(p)[:9])
def test_an_unknown_user_costs_one_check(stored: Any, password: str) -> None:
    """The check is the hasher's own, against a hash that nobody's password matches."""
    hasher = PwdlibLike()
    guarded = GuardedHasher(hasher)
    assert guarded.verify(password, stored) is False
    assert len([each for each in hasher.checked if each == "another password"]) == 1


def test_a_password_that_is_too_long_is_not_given_to_the_hasher() -> None:
    """What a request can make it digest is bounded."""
    hasher = PwdlibLike()
    guarded = GuardedHasher(hasher)
    assert guarded.verify("x" * 4097, guarded.hash(PASSWORD)) is False
    assert hasher.checked == ["a password that nobody has", "another password"]


@pytest.mark.parametrize("password", ["\ud800", "x" * 4097, "refused"])
def test_what_cannot_be_hashed_is_a_password_error(password: Any) -> None:
    """Ours says so in words, and the hasher's own words, which may hold the password, are not shown."""
    with pytest.raises(PasswordError) as caught:
        GuardedHasher(PwdlibLike()).hash(password)
    assert str(password) not in str(caught.value).replace("refused the password", "")
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("secret", [SecretStr(PASSWORD), SecretBytes(PASSWORD.encode())], ids=repr)
def test_a_secret_str_is_a_password(secret: Any, guarded: GuardedHasher) -> None:
    """As pydantic gives it; the hasher gets the text."""
    stored = guarded.hash(secret)
    assert guarded.verify(secret, guarded.hash(PASSWORD)) is True
    assert guarded.verify_and_update(PASSWORD, stored) == (True, None)
    assert asyncio.run(guarded.averify(secret, stored)) is True


@pytest.mark.parametrize("password", [None, 5, SecretStr])
def test_what_is_no_text_cannot_be_hashed(password: Any, guarded: GuardedHasher) -> None:
    """A mistake of the program and not of the user, so no PasswordError."""
    with pytest.raises(TypeError, match="a password is a str, bytes or SecretStr; got"):
        guarded.hash(password)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_hasher_that_cannot_hash_fails_at_start() -> None:
    """passlib's bcrypt beside bcrypt 5 fails for every password: better said before the first login."""

    class Broken(PwdlibLike):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            raise ValueError("password cannot be longer than 72 bytes")

    with pytest.raises(
        ConfigurationError, match=r"Broken must be able to hash .* raised ValueError.*PasswordHasher\(\)"
    ):
        GuardedHasher(Broken())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_hasher_that_cannot_verify_fails_at_start() -> None:
    """argon2-cffi's own takes the hash first, and one whose methods are coroutine functions gives no verdict."""
    import argon2

    with pytest.raises(ConfigurationError, match=r"raised InvalidHash.*takes the hash first"):
        GuardedHasher(argon2.PasswordHasher(1, 8, 1))  # type: ignore[arg-type]

    class Truthy(PwdlibLike):
        def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002
            return "yes"  # type: ignore[return-value]

    with pytest.raises(ConfigurationError, match=r"Truthy\.verify\(password, hash\) must give True .* gave str"):
        GuardedHasher(Truthy())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("schemes", "named"),
    [
        pytest.param(["argon2", "bcrypt"], r"bcrypt \(ValueError\)", marks=NEEDS_BCRYPT_5),
        (["sha256_crypt", "postgres_md5"], "postgres"),
    ],
)
def test_a_scheme_that_cannot_be_verified_fails_at_start(schemes: list[str], named: str) -> None:
    """passlib loads a scheme at its first hash, and every right password would be wrong from then on."""
    from passlib.context import CryptContext

    costs: Any = {"argon2__rounds": 1, "argon2__memory_cost": 8, "argon2__parallelism": 1}
    costs = costs if "argon2" in schemes else {"sha256_crypt__rounds": 1000}
    with pytest.raises(ConfigurationError, match=f"CryptContext cannot verify hashes of {named}.*PasswordHasher"):
        GuardedHasher(CryptContext(schemes, deprecated="auto", **costs))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_schemes_that_work_are_all_taken() -> None:
    """With and without rounds, argon2 and the one for users who may not log in among them."""
    from passlib.context import CryptContext

    schemes = ["pbkdf2_sha256", "argon2", "ldap_salted_sha1", "unix_disabled"]
    assert GuardedHasher(CryptContext(schemes, pbkdf2_sha256__rounds=10)).verify(PASSWORD, "!") is False


def test_what_the_hasher_raises_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An error in the log by its class; neither password nor hash is in it."""
    guarded = GuardedHasher(PwdlibLike())
    with caplog.at_level(logging.ERROR, "fastapi_patterns.security"):
        for stored in ("$2b$04$", "$2b$05$"):
            assert guarded.verify(PASSWORD, stored) is False
            assert guarded.verify_and_update(PASSWORD, stored) == (False, None)
        assert guarded.verify(PASSWORD, None) is False
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("ERROR", None)
    assert "PwdlibLike raised builtins.LookupError" in record.getMessage()
    assert not any(secret in record.getMessage() for secret in (PASSWORD, "$2b$"))


def test_a_hash_of_an_unknown_kind_is_called_so(caplog: pytest.LogCaptureFixture) -> None:
    """passlib and pwdlib have one name for it."""
    guarded = GuardedHasher(context())
    with caplog.at_level(logging.ERROR, "fastapi_patterns.security"):
        assert guarded.verify(PASSWORD, "$2b$12$" + "." * 53) is False
    assert [record.getMessage().count("against a hash of an unknown kind") for record in caplog.records] == [1]


def test_a_repr_names_the_hasher(guarded: GuardedHasher) -> None:
    """And nothing of a hash."""
    assert repr(guarded) in {f"GuardedHasher({name})" for name in ("CryptContext", "PwdlibLike", "PasswordHasher")}


def test_only_a_real_true_lets_in() -> None:
    """A hasher whose methods are coroutine functions, and so truthy, lets nobody in."""

    class Coroutines(PwdlibLike):
        def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002
            return super().verify(password, hash) or "yes"  # type: ignore[return-value]

        def verify_and_update(self, password: str | bytes, hash: str | bytes) -> tuple[bool, str | None]:  # noqa: A002
            return "yes", "hash"  # type: ignore[return-value]

    guarded = GuardedHasher(Coroutines())
    assert guarded.verify(PASSWORD, "$argon2") is False
    assert guarded.verify_and_update(PASSWORD, "$argon2") == (False, None)
