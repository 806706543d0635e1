"""The cost of new hashes: profiles, what is refused at start-up, and when a stored hash is renewed."""

from typing import Any

import argon2
import bcrypt
import pytest

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Argon2Params, BcryptParams, PasswordError, PasswordHasher

PASSWORD = "correct horse battery staple"
EMOJI = "\U0001f600" * 64
CHEAP = PasswordHasher(Argon2Params.FOR_TESTS_ONLY)


def cheap(**costs: int) -> Argon2Params:
    """Parameters that are only good for tests."""
    return Argon2Params(**{"time_cost": 2, "memory_cost": 32, "parallelism": 2, **costs}, for_tests_only=True)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (Argon2Params(), (3, 65536, 4)),
        (Argon2Params.RFC9106, (3, 65536, 4)),
        (Argon2Params.OWASP, (2, 19456, 1)),
        (Argon2Params.FOR_TESTS_ONLY, (1, 8, 1)),
    ],
)
def test_a_profile_has_the_numbers_of_its_source(params: Argon2Params, expected: tuple[int, int, int]) -> None:
    """RFC 9106 section 4, second option; OWASP's least; and argon2's own least for tests."""
    found = argon2.extract_parameters(PasswordHasher(params).hash(PASSWORD))
    assert (found.time_cost, found.memory_cost, found.parallelism) == expected
    assert (found.type, found.version, found.salt_len, found.hash_len) == (argon2.Type.ID, 19, 16, 32)


@pytest.mark.parametrize(
    "costs",
    [
        {"time_cost": 0},
        {"time_cost": 2**32},
        {"parallelism": 0},
        {"parallelism": 2**24, "memory_cost": 2**28},
        {"memory_cost": 31},
        {"memory_cost": 2 * 1024 * 1024 + 1},
        {"memory_cost": "65536"},
        {"time_cost": 3.0},
        {"parallelism": True},
    ],
)
def test_argon2_numbers_out_of_range_are_refused(costs: dict[str, int]) -> None:
    """The message says what argon2 needs and what it got."""
    with pytest.raises(ConfigurationError, match=r"argon2 needs .* got time_cost="):
        Argon2Params(**{"parallelism": 4, **costs}, for_tests_only=True)


@pytest.mark.parametrize(("memory", "passes"), [(47104, 1), (19456, 2), (12288, 3), (9216, 4), (7168, 5)])
def test_each_of_owasps_options_is_strong_enough(memory: int, passes: int) -> None:
    """Each option is taken, and a KiB or a pass less is refused with what to do."""
    Argon2Params(memory_cost=memory, time_cost=passes, parallelism=1)
    with pytest.raises(ConfigurationError, match=r"at least memory_cost=19456 .* in tests Argon2Params.FOR_TESTS_ONLY"):
        Argon2Params(memory_cost=memory - 1, time_cost=passes, parallelism=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scheme": "md5"}, "scheme must be .* got 'md5'"),
        ({"rounds": 3, "for_tests_only": True}, "4 to 15 rounds; got rounds=3"),
        ({"rounds": 16}, "4 to 15 rounds; got rounds=16"),
        ({"rounds": "12"}, "4 to 15 rounds; got rounds='12'"),
        ({"rounds": True}, "4 to 15 rounds; got rounds=True"),
        ({"rounds": 9}, "at least 10 rounds; got rounds=9. In tests use BcryptParams.FOR_TESTS_ONLY"),
    ],
)
def test_bcrypt_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    """The message says what must hold and what it got."""
    with pytest.raises(ConfigurationError, match=message):
        BcryptParams(**settings)


def test_bcrypt_starts_at_twelve_rounds_and_owasps_least_is_taken() -> None:
    """The default is above OWASP's least, which may be asked for."""
    assert (BcryptParams.DEFAULT, BcryptParams().scheme, BcryptParams().rounds) == (BcryptParams(), "bcrypt_sha256", 12)
    assert BcryptParams(rounds=10).rounds == 10


def test_bcrypt_sha256_is_written_as_passlib_does_and_takes_any_length() -> None:
    """passlib's own form, version 2; 64 characters of four bytes and NUL are no matter."""
    hasher = PasswordHasher(BcryptParams.FOR_TESTS_ONLY)
    for password in (PASSWORD, EMOJI, "nul\0inside", ""):
        stored = hasher.hash(password)
        assert stored.startswith("$bcrypt-sha256$v=2,t=2b,r=4$")
        assert hasher.verify(password, stored) is True
        assert hasher.verify(password + "x", stored) is False
        assert hasher.verify_and_update(password, stored) == (True, None)
    assert hasher.hash(PASSWORD) != hasher.hash(PASSWORD)


def test_bcrypt_writes_what_every_language_reads() -> None:
    """The plain form, with the rounds that were asked for."""
    stored = PasswordHasher(BcryptParams(scheme="bcrypt", rounds=10)).hash(PASSWORD)
    assert stored.startswith("$2b$10$")
    assert bcrypt.checkpw(PASSWORD.encode(), stored.encode())


@pytest.mark.parametrize(
    ("password", "message"),
    [("p" * 73, "at most 72 bytes"), ("\u00e9" * 37, "at most 72 bytes"), (EMOJI, "72"), ("a\0b", "must not hold NUL")],
)
def test_plain_bcrypt_refuses_what_it_cannot_hold(password: str, message: str) -> None:
    """Nothing is cut in silence: more than 72 bytes and NUL are a PasswordError with words, without the password."""
    hasher = PasswordHasher(BcryptParams(scheme="bcrypt", rounds=4, for_tests_only=True))
    with pytest.raises(PasswordError, match=message) as caught:
        hasher.hash(password)
    assert password not in str(caught.value)
    assert hasher.verify("p" * 72, hasher.hash("p" * 72)) is True


def test_a_password_that_plain_bcrypt_cannot_hold_still_logs_in() -> None:
    """After a success against another scheme, the hash that does hold it stays."""
    hasher = PasswordHasher(BcryptParams(scheme="bcrypt", rounds=4, for_tests_only=True))
    stored = CHEAP.hash("p" * 73)
    assert hasher.verify_and_update("p" * 73, stored) == (True, None)
    renewed = hasher.verify_and_update("p" * 72, CHEAP.hash("p" * 72))[1]
    assert renewed is not None
    assert renewed.startswith("$2b$04$")


@pytest.mark.parametrize(
    ("made_with", "renewed"),
    [
        ({}, False),
        ({"memory_cost": 16}, True),
        ({"time_cost": 1}, True),
        ({"memory_cost": 64, "time_cost": 1}, True),
        ({"parallelism": 1}, True),
        ({"memory_cost": 64}, False),
        ({"time_cost": 3}, False),
        ({"memory_cost": 64, "parallelism": 1}, False),
    ],
)
def test_a_cheaper_argon2_hash_is_renewed_and_a_costlier_one_stays(made_with: dict[str, int], renewed: bool) -> None:
    """No login makes a hash weaker; fewer lanes alone are renewed, as strength is the same."""
    hasher = PasswordHasher(cheap())
    stored = PasswordHasher(cheap(**made_with)).hash(PASSWORD)
    assert hasher.needs_update(stored) is renewed
    matched, new = hasher.verify_and_update(PASSWORD, stored)
    assert (matched, new is not None) == (True, renewed)
    if new is not None:
        assert hasher.verify_and_update(PASSWORD, new) == (True, None)
    assert hasher.verify_and_update("wrong", stored) == (False, None)


@pytest.mark.parametrize("params", [cheap(), BcryptParams(rounds=5, for_tests_only=True)], ids=["argon2", "bcrypt"])
@pytest.mark.parametrize(
    "stored",
    [
        "$argon2i$v=19$m=32,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43,
        "$argon2id$m=32,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43,
        "$argon2id$v=19$m=32,t=2,p=2$c29tZXNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=32,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$" + "A" * 22,
        "argon2$argon2id$v=19$m=32,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43,
        "$argon2id$broken",
        "$2b$05$" + "." * 53,
        "$2a$05$" + "." * 53,
        "$bcrypt-sha256$v=2,t=2b,r=4$" + "." * 22 + "$" + "." * 31,
        "$bcrypt-sha256$v=2,t=2y,r=5$" + "." * 22 + "$" + "." * 31,
        "$bcrypt-sha256$2b,5$" + "." * 22 + "$" + "." * 31,
        "",
        b"\xff",
    ],
    ids=lambda stored: repr(stored)[:40],
)
def test_another_form_is_renewed(params: Argon2Params | BcryptParams, stored: str | bytes) -> None:
    """An older version or variant, a short salt or digest, another program's word in front, or no hash at all."""
    assert PasswordHasher(params).needs_update(stored) is True


@pytest.mark.parametrize(
    ("stored", "renewed"),
    [
        ("$2b$05$" + "." * 53, False),
        ("$2b$06$" + "." * 53, False),
        ("$2b$04$" + "." * 53, True),
        ("$2a$05$" + "." * 53, True),
        ("bcrypt$$2b$05$" + "." * 53, True),
        ("$bcrypt-sha256$v=2,t=2b,r=5$" + "." * 22 + "$" + "." * 31, True),
    ],
)
def test_plain_bcrypt_is_renewed_below_its_rounds(stored: str, renewed: bool) -> None:
    """`$2b$` of as many rounds or more stays; another letter, word or form is replaced."""
    hasher = PasswordHasher(BcryptParams(scheme="bcrypt", rounds=5, for_tests_only=True))
    assert hasher.needs_update(stored) is renewed


def test_a_bcrypt_sha256_hash_of_more_rounds_stays() -> None:
    """As with argon2: a costlier hash is left as it is."""
    hasher = PasswordHasher(BcryptParams.FOR_TESTS_ONLY)
    stored = PasswordHasher(BcryptParams(rounds=5, for_tests_only=True)).hash(PASSWORD)
    assert hasher.verify_and_update(PASSWORD, stored) == (True, None)
