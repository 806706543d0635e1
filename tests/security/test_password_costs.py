"""What a failed check costs: the same work for an unknown user and for every kind of stored hash, counted."""

import hashlib
import warnings
from collections import Counter
from types import SimpleNamespace
from typing import Any

import argon2
import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_patterns.security import Argon2Params, BcryptParams, PasswordHasher, _legacy, _scrypt
from fastapi_patterns.security._stored import powers

PASSWORD = "correct horse battery staple"
PARAMS = Argon2Params(time_cost=2, memory_cost=256, parallelism=2, for_tests_only=True)
LENGTHS = ["", "x", "x" * 73, "x" * 4096, "x" * 4097, "x" * 1_000_000, "nul\0inside", "\ud800", b"raw\xff", None, 5]


class Work:
    """Counts what is really computed, by kind, in units that the time is proportional to."""

    def __init__(self) -> None:
        self.checks: list[str] = []
        self.by_kind: Counter[str] = Counter()

    def note(self, kind: str, work: int) -> None:
        """Count one call."""
        self.checks.append(kind)
        self.by_kind[kind] += work


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Every primitive, counted on its way."""
    counted = Work()
    verify_secret, checkpw = argon2.low_level.verify_secret, bcrypt.checkpw
    verify_legacy, spend_legacy = _legacy._verify, _legacy._spend

    def counted_argon2(hashed: bytes, secret: bytes, kind: Any) -> bool:
        asked = argon2.extract_parameters(hashed.decode())
        counted.note(f"argon2 on {asked.parallelism}", asked.memory_cost * asked.time_cost)
        return verify_secret(hashed, secret, kind)

    def counted_bcrypt(password: bytes, hashed: bytes) -> bool:
        counted.note("bcrypt", 1 << int(hashed[4:6]))
        return checkpw(password, hashed)

    def counted_scrypt(*args: Any, n: int, r: int, p: int, **more: Any) -> bytes:
        counted.note("scrypt", n * r * p)
        return hashlib.scrypt(*args, n=n, r=r, p=p, **more)

    def counted_pbkdf2(digest: str, password: bytes, salt: bytes, rounds: int) -> bytes:
        counted.note(f"pbkdf2 {digest}", rounds)
        return hashlib.pbkdf2_hmac(digest, password, salt, rounds)

    def counted_verify(handler: Any, password: bytes, text: str) -> bool | None:
        verdict = verify_legacy(handler, password, text)
        if verdict is not None:
            found = handler.from_string(text)
            rounds = getattr(found, "rounds", 1)
            if handler.name in ("phpass", "scrypt"):
                rounds = (1 << rounds) * getattr(found, "block_size", 1) * getattr(found, "parallelism", 1)
            counted.note(handler.name, rounds)
        return verdict

    def counted_spend(handler: Any, work: int, length: int) -> None:
        counted.note(handler.name, work)
        spend_legacy(handler, work, length)

    monkeypatch.setattr(argon2.low_level, "verify_secret", counted_argon2)
    monkeypatch.setattr(bcrypt, "checkpw", counted_bcrypt)
    counting = SimpleNamespace(new=hashlib.new, scrypt=counted_scrypt, pbkdf2_hmac=counted_pbkdf2)
    monkeypatch.setattr(_scrypt, "hashlib", counting)
    monkeypatch.setattr(_legacy, "_verify", counted_verify)
    monkeypatch.setattr(_legacy, "_spend", counted_spend)
    return counted


def made(scheme: str, **settings: Any) -> str:
    """Hash the password as an application on passlib did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import passlib.hash

        return str(getattr(passlib.hash, scheme).using(**settings).hash(PASSWORD))


@pytest.mark.parametrize("stored", [None, "", "!", "$2b$31$" + "." * 53, "$argon2id$"], ids=repr)
@pytest.mark.parametrize("password", LENGTHS, ids=lambda password: repr(password)[:12])
def test_an_unknown_user_costs_one_check_whatever_the_password(password: Any, stored: Any, work: Work) -> None:
    """One real check of exactly the cost of a new hash, for passwords that no hash can have too."""
    hasher = PasswordHasher(PARAMS)
    assert hasher.verify(password, stored) is False
    assert (work.checks, work.by_kind) == (["argon2 on 2"], {"argon2 on 2": 512})


def test_the_first_unknown_user_costs_no_more_than_the_next(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is hashed to have something to compare with."""
    monkeypatch.setattr(argon2.low_level, "hash_secret", None)
    hasher = PasswordHasher(PARAMS)
    assert hasher.verify(PASSWORD, None) is False
    assert hasher.verify(PASSWORD, None) is False
    assert work.checks == ["argon2 on 2"] * 2


def test_bcrypt_costs_one_check_of_bcrypt(work: Work) -> None:
    """What is written is what an unknown user costs."""
    hasher = PasswordHasher(BcryptParams(rounds=6, for_tests_only=True))
    assert hasher.verify(PASSWORD, None) is False
    assert hasher.verify("x" * 5000, hasher.hash(PASSWORD)) is False
    assert hasher.verify("wrong", hasher.hash(PASSWORD)) is False
    assert work.by_kind == {"bcrypt": 3 * 2**6}
    assert len(work.checks) == 3


def test_a_success_costs_its_own_check_only(work: Work) -> None:
    """Who is let in waits for nobody else's scheme."""
    hasher = PasswordHasher(PARAMS)
    assert hasher.verify(PASSWORD, made("pbkdf2_sha256", rounds=50)) is True
    assert work.by_kind == {"pbkdf2_sha256": 50}


STORED = {
    "none": None,
    "damaged": "$2b$05$",
    "argon2": PasswordHasher(PARAMS).hash(PASSWORD),
    "argon2 of fewer passes": argon2.PasswordHasher(1, 256, 2).hash(PASSWORD),
    "argon2 of less memory": argon2.PasswordHasher(2, 100, 2).hash(PASSWORD),
    "argon2 of a little less": argon2.PasswordHasher(2, 255, 2).hash(PASSWORD),
    "argon2 on one lane": argon2.PasswordHasher(2, 256, 1).hash(PASSWORD),
    "bcrypt 4": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(),
    "bcrypt 7": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(7)).decode(),
    "pbkdf2 50": made("pbkdf2_sha256", rounds=50),
    "pbkdf2 90": made("pbkdf2_sha256", rounds=90),
    "phpass 7": made("phpass", rounds=7),
    "phpass 9": made("phpass", rounds=9),
    "md5_crypt": made("md5_crypt"),
    "scrypt": made("scrypt", rounds=5, block_size=8),
    "scrypt of Werkzeug": "scrypt:16:8:1$salt$" + "a" * 128,
    "pbkdf2 of Werkzeug": "pbkdf2:sha256:70$salt$" + "a" * 64,
    "pbkdf2 of Werkzeug, fewer": "pbkdf2:sha256:30$salt$" + "a" * 64,
}
EXPECTED = {
    "argon2 on 2": 512,
    "argon2 on 1": 512,
    "bcrypt": 2**7,
    "pbkdf2_sha256": 90,
    "phpass": 2**9,
    "md5_crypt": 1,
    "scrypt": 2**5 * 8,
    "pbkdf2 sha256": 70,
}


@pytest.fixture(scope="module")
def taught() -> PasswordHasher:
    """A hasher that has met every kind."""
    hasher = PasswordHasher(PARAMS)
    for stored in STORED.values():
        hasher.verify("wrong", stored)
    return hasher


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("password", ["wrong", "", "x" * 100, "nul\0inside", "x" * 5000], ids=lambda p: repr(p)[:8])
def test_every_failure_costs_the_same(password: str, kind: str, taught: PasswordHasher, work: Work) -> None:
    """With nine kinds of hashes in the table, each failure does the work of the costliest of every kind, once."""
    assert taught.verify(password, STORED[kind]) is False
    for name, expected in EXPECTED.items():
        # memory is in whole KiB a pass, and scrypt in powers of two
        assert expected - 2 <= work.by_kind[name] <= expected, name
    assert set(work.by_kind) == set(EXPECTED)


def test_no_hash_is_kept(work: Work) -> None:
    """What is remembered of a hash is what it costs."""
    hasher = PasswordHasher(PARAMS)
    stored = STORED["bcrypt 4"] or ""
    hasher.verify("wrong", stored)
    assert stored[7:] not in repr(vars(hasher))
    assert [name for name, (_, spend) in hasher._costliest.items() for cell in spend.__closure__ or ()
            if stored[7:] in str(cell.cell_contents)] == []  # fmt: skip


@pytest.mark.parametrize("work", [0, 7, 2**17 * 8, 2**20 * 8 + 16 * 8])
def test_scrypt_is_spent_with_no_more_memory_than_a_hash_may_ask_for(
    work: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is more is done one after the other, not at once."""
    asked: list[dict[str, int]] = []
    monkeypatch.setattr(_scrypt, "hashlib", SimpleNamespace(scrypt=lambda *_, **more: asked.append(more)))
    _scrypt.spend(work, 0)
    assert sum(each["n"] * each["r"] * each["p"] for each in asked) == work // 8 * 8
    assert all(128 * each["n"] * each["r"] <= 128 * 2**20 < each["maxmem"] for each in asked)


@given(st.integers(0, 2**40), st.integers(0, 6))
def test_powers_add_up(amount: int, least: int) -> None:
    """The powers of two make up the number, but for what is below the least."""
    exponents = list(powers(amount, least))
    assert sum(2**exponent for exponent in exponents) == amount >> least << least
    assert all(exponent >= least for exponent in exponents)
