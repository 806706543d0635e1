"""Passwords: hashing with argon2id, verifying everything that an application may already have."""

import base64
import hashlib
import hmac
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import argon2
import bcrypt
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretBytes, SecretStr

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import (
    Argon2Params,
    BcryptParams,
    PasswordError,
    PasswordHasher,
    _argon2,
    _bcrypt,
    _legacy,
    hash_password,
    verify_password,
)

PASSWORD = "correct horse battery staple"
RAW = PASSWORD.encode()
SALT = bcrypt.gensalt(4)


@pytest.fixture
def hasher() -> PasswordHasher:
    """A hasher whose parameters are only good for tests."""
    return PasswordHasher(Argon2Params.FOR_TESTS_ONLY)


@pytest.fixture
def argon2_checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords that argon2 really checked, in order."""
    seen: list[bytes] = []
    real = argon2.low_level.verify_secret

    def counted(hashed: bytes, secret: bytes, kind: Any) -> bool:
        seen.append(secret)
        return real(hashed, secret, kind)

    monkeypatch.setattr(argon2.low_level, "verify_secret", counted)
    return seen


def passlib_hash(scheme: str, **settings: Any) -> str:
    """Hash the password as an application on passlib did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import passlib.hash

        return str(getattr(passlib.hash, scheme).using(**settings).hash(PASSWORD))


def bcrypt_sha256_v1() -> str:
    """passlib's bcrypt_sha256 before 1.7.3: bcrypt over the base64 of a plain SHA-256."""
    key = base64.b64encode(hashlib.sha256(RAW).digest())
    hashed = bcrypt.hashpw(key, SALT).decode()
    return f"$bcrypt-sha256$2b,4${hashed[7:29]}${hashed[29:]}"


def bcrypt_sha256_v2() -> str:
    """passlib's bcrypt_sha256 since 1.7.3: the digest is keyed with the salt."""
    salt = SALT.decode()[7:]
    key = base64.b64encode(hmac.digest(salt.encode(), RAW, "sha256"))
    hashed = bcrypt.hashpw(key, SALT).decode()
    return f"$bcrypt-sha256$v=2,t=2b,r=4${hashed[7:29]}${hashed[29:]}"


def dirty(last: str) -> str:
    """Set a bit that stands for nothing in the last character of a salt or a digest."""
    alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return alphabet[alphabet.index(last) + 1]


def bcrypt_2() -> str:
    """bcrypt's first form, which repeats a password without NUL between: 72 bytes of it leave no room for one."""
    return bcrypt.hashpw((RAW * 72)[:72], SALT).decode().replace("$2b$", "$2$")


def django_scrypt() -> str:
    """Django's own scrypt, which passlib does not know."""
    tag = hashlib.scrypt(RAW, salt=b"seasalt", n=16, r=8, p=1, dklen=64)
    return f"scrypt$16$seasalt$8$1${base64.b64encode(tag).decode()}"


def werkzeug_scrypt() -> str:
    """What Flask applications have since Werkzeug 3."""
    return f"scrypt:16:8:1$seasalt${hashlib.scrypt(RAW, salt=b'seasalt', n=16, r=8, p=1, dklen=64).hex()}"


def werkzeug_pbkdf2(digest: str) -> str:
    """What Flask applications had before."""
    return f"pbkdf2:{digest}:10$seasalt${hashlib.pbkdf2_hmac(digest, RAW, b'seasalt', 10).hex()}"


OLDER_HASHES: dict[str, Callable[[], str]] = {
    "2b": lambda: bcrypt.hashpw(RAW, SALT).decode(),
    "2a": lambda: bcrypt.hashpw(RAW, SALT.replace(b"$2b$", b"$2a$")).decode(),
    "2y": lambda: bcrypt.hashpw(RAW, SALT).decode().replace("$2b$", "$2y$"),
    "2": bcrypt_2,
    "2b, dirty salt bits": lambda: (made := bcrypt.hashpw(RAW, SALT).decode())[:28] + dirty(made[28]) + made[29:],
    "2b, dirty last bits": lambda: (made := bcrypt.hashpw(RAW, SALT).decode())[:-1] + dirty(made[-1]),
    "spring bcrypt": lambda: "{bcrypt}" + bcrypt.hashpw(RAW, SALT).decode().replace("$2b$", "$2a$"),
    "django_scrypt": django_scrypt,
    "werkzeug scrypt": werkzeug_scrypt,
    "werkzeug pbkdf2 sha1": lambda: werkzeug_pbkdf2("sha1"),
    "werkzeug pbkdf2 sha256": lambda: werkzeug_pbkdf2("sha256"),
    "werkzeug pbkdf2 sha512": lambda: werkzeug_pbkdf2("sha512"),
    "scrypt without a salt": lambda: passlib_hash("scrypt", rounds=4, salt=b""),
    "django_bcrypt": lambda: "bcrypt$" + bcrypt.hashpw(RAW, SALT).decode(),
    "django_bcrypt_sha256": lambda: (
        "bcrypt_sha256$" + bcrypt.hashpw(hashlib.sha256(RAW).hexdigest().encode(), SALT).decode()
    ),
    "bcrypt_sha256 v1": bcrypt_sha256_v1,
    "bcrypt_sha256 v2": bcrypt_sha256_v2,
    "django_argon2": lambda: "argon2" + argon2.PasswordHasher(1, 64, 1).hash(RAW),
    "argon2i": lambda: argon2.PasswordHasher(1, 64, 1, type=argon2.Type.I).hash(RAW),
    "pbkdf2_sha1": lambda: passlib_hash("pbkdf2_sha1", rounds=10),
    "pbkdf2_sha256": lambda: passlib_hash("pbkdf2_sha256", rounds=10),
    "pbkdf2_sha512": lambda: passlib_hash("pbkdf2_sha512", rounds=10),
    "django_pbkdf2_sha1": lambda: passlib_hash("django_pbkdf2_sha1", rounds=10),
    "django_pbkdf2_sha256": lambda: passlib_hash("django_pbkdf2_sha256", rounds=10),
    "django_salted_sha1": lambda: passlib_hash("django_salted_sha1"),
    "django_salted_md5": lambda: passlib_hash("django_salted_md5"),
    "sha256_crypt": lambda: passlib_hash("sha256_crypt", rounds=1000),
    "sha512_crypt": lambda: passlib_hash("sha512_crypt", rounds=1000),
    "md5_crypt": lambda: passlib_hash("md5_crypt"),
    "phpass": lambda: passlib_hash("phpass", rounds=7),
    "scrypt": lambda: passlib_hash("scrypt", rounds=4),
    "sha1_crypt": lambda: passlib_hash("sha1_crypt", rounds=10),
    "sun_md5_crypt": lambda: passlib_hash("sun_md5_crypt", rounds=10),
    "bsdi_crypt": lambda: passlib_hash("bsdi_crypt", rounds=11),
    "apr_md5_crypt": lambda: passlib_hash("apr_md5_crypt"),
    "atlassian_pbkdf2_sha1": lambda: passlib_hash("atlassian_pbkdf2_sha1"),
    "cta_pbkdf2_sha1": lambda: passlib_hash("cta_pbkdf2_sha1", rounds=10),
    "dlitz_pbkdf2_sha1": lambda: passlib_hash("dlitz_pbkdf2_sha1", rounds=10),
    "grub_pbkdf2_sha512": lambda: passlib_hash("grub_pbkdf2_sha512", rounds=10),
    "scram": lambda: passlib_hash("scram", rounds=10),
    "fshp": lambda: passlib_hash("fshp", rounds=10),
    "mssql2005": lambda: passlib_hash("mssql2005"),
    "oracle11": lambda: passlib_hash("oracle11"),
    "ldap_salted_md5": lambda: passlib_hash("ldap_salted_md5"),
    "ldap_salted_sha1": lambda: passlib_hash("ldap_salted_sha1"),
    "ldap_salted_sha256": lambda: passlib_hash("ldap_salted_sha256"),
    "ldap_salted_sha512": lambda: passlib_hash("ldap_salted_sha512"),
    "ldap_pbkdf2_sha1": lambda: passlib_hash("ldap_pbkdf2_sha1", rounds=10),
    "ldap_pbkdf2_sha256": lambda: passlib_hash("ldap_pbkdf2_sha256", rounds=10),
    "ldap_pbkdf2_sha512": lambda: passlib_hash("ldap_pbkdf2_sha512", rounds=10),
    "ldap_md5_crypt": lambda: passlib_hash("ldap_md5_crypt"),
    "ldap_sha1_crypt": lambda: passlib_hash("ldap_sha1_crypt", rounds=10),
    "ldap_sha256_crypt": lambda: passlib_hash("ldap_sha256_crypt", rounds=1000),
    "ldap_sha512_crypt": lambda: passlib_hash("ldap_sha512_crypt", rounds=1000),
    "ldap_bsdi_crypt": lambda: passlib_hash("ldap_bsdi_crypt", rounds=11),
    "ldap_bcrypt": lambda: "{CRYPT}" + bcrypt.hashpw(RAW, SALT).decode(),
    "ldap_argon2": lambda: "{ARGON2}" + argon2.PasswordHasher(1, 64, 1).hash(RAW),
}


@pytest.mark.parametrize("scheme", OLDER_HASHES)
def test_an_older_hash_is_verified_and_renewed(scheme: str, hasher: PasswordHasher) -> None:
    """The right password matches, a wrong one does not, and after a success there is an argon2id hash to store."""
    stored = OLDER_HASHES[scheme]()
    assert hasher.verify("wrong", stored) is False
    assert hasher.verify(PASSWORD + "\0", stored) is False
    assert hasher.verify_and_update("wrong", stored) == (False, None)
    matched, renewed = hasher.verify_and_update(PASSWORD, stored)
    assert matched is True
    assert renewed is not None
    assert renewed.startswith("$argon2id$")
    assert hasher.verify_and_update(PASSWORD, renewed) == (True, None)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        (Argon2Params, "such as Argon2Params.OWASP.* got <class"),
        ("argon2", "such as Argon2Params.OWASP.* got 'argon2'"),
        (12, "such as Argon2Params.OWASP.* got 12"),
        (argon2.PasswordHasher(), "such as Argon2Params.OWASP"),
        (PasswordHasher(Argon2Params.FOR_TESTS_ONLY), r"use GuardedHasher\(PasswordHasher"),
    ],
)
def test_the_cost_is_an_object_of_ours(params: Any, problem: str) -> None:
    """Said with words at the start, and not at the first login."""
    with pytest.raises(ConfigurationError, match=problem):
        PasswordHasher(params)


@pytest.mark.parametrize("scheme", ["des_crypt", "django_des_crypt", "ldap_des_crypt"])
def test_des_crypt_matches_eight_bytes_and_no_more(scheme: str, hasher: PasswordHasher) -> None:
    """DES ignores what follows the 8th byte; a longer password does not match, unless the application says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import passlib.hash

        stored = getattr(passlib.hash, scheme).hash("passw0rd")
    assert hasher.verify("passw0rd", stored) is True
    assert hasher.verify("passw0rx", stored) is False
    assert hasher.verify("passw0rd!", stored) is False
    older = PasswordHasher(Argon2Params.FOR_TESTS_ONLY, truncate_bcrypt=True)
    assert older.verify("passw0rd!", stored) is True
    assert older.verify("Passw0rd!", stored) is False


UNSALTED = {
    "plaintext": PASSWORD,
    "hex_md5": hashlib.md5(RAW, usedforsecurity=False).hexdigest(),
    "hex_sha1": hashlib.sha1(RAW, usedforsecurity=False).hexdigest(),
    "hex_sha256": hashlib.sha256(RAW).hexdigest(),
    "django unsalted md5": "md5$$" + hashlib.md5(RAW, usedforsecurity=False).hexdigest(),
    "django unsalted sha1": "sha1$$" + hashlib.sha1(RAW, usedforsecurity=False).hexdigest(),
    "ldap_sha1": "{SHA}" + base64.b64encode(hashlib.sha1(RAW, usedforsecurity=False).digest()).decode(),
    "ldap_plaintext": "{plaintext}" + PASSWORD,
    **{scheme: passlib_hash(scheme) for scheme in ("nthash", "bsd_nthash", "mysql323", "mysql41", "mssql2000")},
    "lmhash": passlib_hash("lmhash", truncate_error=False),
    "cisco_type7": passlib_hash("cisco_type7"),
    "fshp without a salt": passlib_hash("fshp", rounds=10, salt=b""),
    "md5_crypt without a salt": passlib_hash("md5_crypt", salt=""),
}


@pytest.mark.parametrize("scheme", UNSALTED)
def test_a_hash_without_a_salt_never_matches(scheme: str, hasher: PasswordHasher, argon2_checks: list[bytes]) -> None:
    """Plain text, what a table of hashes finds and what can be read back are no match for the right password either."""
    assert hasher.verify(PASSWORD, UNSALTED[scheme]) is False
    assert len(argon2_checks) == 1


@pytest.mark.parametrize("scheme", _legacy.UNSALTED)
def test_a_hash_without_a_salt_matches_when_its_scheme_is_named(scheme: str, hasher: PasswordHasher) -> None:
    """Only the named one, and after a success there is an argon2id hash to store; all else stays refused."""
    stored = passlib_hash(scheme, **({"truncate_error": False} if scheme == "lmhash" else {}))
    named = PasswordHasher(Argon2Params.FOR_TESTS_ONLY, also_unsalted=[scheme])
    assert hasher.verify(PASSWORD, stored) is False
    assert named.verify("wrong", stored) is False
    assert named.verify(PASSWORD, stored + "\n") is False
    matched, renewed = named.verify_and_update(PASSWORD, stored)
    assert (matched, str(renewed)[:10]) == (True, "$argon2id$")
    names = [name for name in _legacy.UNSALTED if name not in (scheme, *_legacy.LOOKALIKES)]
    others = PasswordHasher(Argon2Params.FOR_TESTS_ONLY, also_unsalted=names)
    assert others.verify(PASSWORD, stored) is False
    assert named.verify(PASSWORD, passlib_hash("md5_crypt", salt="")) is False


@pytest.mark.parametrize("names", [["plaintext"], ["hex_md5", "md5_crypt"], "hex_md5", ["bcrypt"]])
def test_only_known_schemes_can_be_named(names: Any) -> None:
    """The message lists what can be; one text is no list; plain text never is."""
    with pytest.raises(ConfigurationError, match=r"also_unsalted takes a list of names out of hex_md5, .*; got"):
        PasswordHasher(also_unsalted=names)


def test_schemes_that_look_alike_are_not_named_together() -> None:
    """MD5, LM and NT are 32 digits all three: only the first would be tried."""
    with pytest.raises(ConfigurationError, match=r"one of hex_md5, lmhash, nthash, .*; got \['hex_md5', 'nthash'\]"):
        PasswordHasher(also_unsalted=["hex_md5", "nthash"])


def test_a_new_hash_is_argon2id_of_the_recommended_strength() -> None:
    """The default parameters are those of RFC 9106, above the minimum of ASVS 5.0."""
    asked = argon2.extract_parameters(PasswordHasher().hash(PASSWORD))
    assert (asked.type, asked.time_cost, asked.memory_cost, asked.parallelism) == (argon2.Type.ID, 3, 65536, 4)


def test_equal_passwords_have_different_hashes(hasher: PasswordHasher) -> None:
    """Every hash has a salt of its own."""
    assert hasher.hash(PASSWORD) != hasher.hash(PASSWORD)


@pytest.mark.parametrize(
    "password", ["", " ", "p" * 73, "p" * 4096, "nul\0inside", "\U0001f600" * 64, "cafe\u0301", b"raw\xff"]
)
def test_passwords_are_taken_as_they_are(password: str | bytes, hasher: PasswordHasher) -> None:
    """Empty, long, with NUL, of emoji, decomposed or bytes: hashed and verified without change."""
    stored = hasher.hash(password)
    assert hasher.verify(password, stored) is True
    assert hasher.verify(password + (" " if isinstance(password, str) else b" "), stored) is False


@pytest.mark.parametrize("secret", [SecretStr(PASSWORD), SecretBytes(PASSWORD.encode())], ids=repr)
def test_a_secret_str_is_a_password(secret: Any, hasher: PasswordHasher) -> None:
    """As pydantic gives it; its text is hashed and verified."""
    assert hasher.verify(PASSWORD, hasher.hash(secret))
    assert hasher.verify_and_update(secret, hasher.hash(PASSWORD)) == (True, None)
    assert not hasher.verify(SecretStr("wrong"), hasher.hash(PASSWORD))


@pytest.mark.parametrize("password", ["\ud800", "x" * 4097])
def test_what_cannot_be_hashed_is_a_password_error(password: str, hasher: PasswordHasher) -> None:
    """A lone surrogate or a novel is refused with words, and never matches."""
    with pytest.raises(PasswordError, match="valid Unicode text of at most 4096 characters") as caught:
        hasher.hash(password)
    assert password not in str(caught.value)
    assert hasher.verify(password, hasher.hash("x")) is False


MUTATED = [make() for make in OLDER_HASHES.values()]

GARBAGE = [
    None, "", "!", "x", "$", "plaintext", "$argon2id$", "$argon2id$v=19$m=64,t=1,p=1$YWJj", "$argon2id$v=19$m=x$a$b",
    "$2b$04$", "$2b$04$" + "x" * 52, "$2b$99$" + "." * 53, "$2b$03$" + "." * 53, "$2x$04$" + "." * 53,
    "$pbkdf2-sha256$29000$$", "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$", "$scrypt$ln=99,r=8,p=1$YWJj$YWJj",
    "$5$rounds=1000$salt", "$6$", "pbkdf2_sha256$10$salt$", "sha1$salt$", "md5$$", "\ud800", "\0", "é" * 60,
    "scrypt$15$salt$8$1$" + "A" * 86 + "==", "scrypt:1:8:1$salt$" + "a" * 128, "scrypt:65536:1:1$salt$" + "a" * 128,
    "pbkdf2:md5:1$salt$" + "a" * 32, "pbkdf2:sha256:1$salt$" + "a" * 40, "$2b$04$" + "." * 53 + "\n", "$1$" * 5000,
    "$P$", "$H$", b"$P$", b"\xff\xfe", b"", 5, 0, True, range(3), ["$2b$"], {}, 1.5,
]  # fmt: skip


@pytest.mark.parametrize("stored", GARBAGE, ids=repr)
def test_a_hash_that_is_none_costs_one_check(stored: Any, hasher: PasswordHasher, argon2_checks: list[bytes]) -> None:
    """No hash, an empty or a damaged one: a clean False at the cost of a real verification."""
    assert hasher.verify("a password", stored) is False
    assert len(argon2_checks) == 1
    assert hasher.verify_and_update("a password", stored) == (False, None)


@pytest.mark.parametrize("rounds", ["+1212", "1_212", "01212"])
def test_a_hash_that_nothing_would_write_never_matches(rounds: str, hasher: PasswordHasher) -> None:
    """passlib reads these as 1212; what is written otherwise than it would write it is damaged."""
    stored = "$pbkdf2-sha256${}$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ"
    assert hasher.verify("password", stored.format("1212")) is True
    assert hasher.verify("password", stored.format(rounds)) is False


@pytest.mark.parametrize("scheme", ["atlassian_pbkdf2_sha1", "pbkdf2_sha256", "argon2i", "2b", "django_pbkdf2_sha256"])
@pytest.mark.parametrize("more", ["$", "A", "=", "\n", " ", "\0"])
def test_a_hash_with_more_behind_never_matches(scheme: str, more: str, hasher: PasswordHasher) -> None:
    """Nothing is stripped or ignored behind a hash, nor before it."""
    stored = OLDER_HASHES[scheme]()
    assert hasher.verify(PASSWORD, stored) is True
    assert hasher.verify(PASSWORD, stored + more) is False
    assert hasher.verify(PASSWORD, more + stored) is False


@pytest.mark.parametrize("password", [None, 5, ["a password"], bytearray(b"a password"), range(3), SecretStr], ids=repr)
def test_a_password_that_is_no_text_never_matches(
    password: Any, hasher: PasswordHasher, argon2_checks: list[bytes]
) -> None:
    """A missing form field or a JSON number is a clean False at the usual cost, and is not hashed."""
    assert hasher.verify(password, hasher.hash("a password")) is False
    assert hasher.verify_and_update(password, None) == (False, None)
    assert len(argon2_checks) == 2
    with pytest.raises(TypeError, match="a password is a str, bytes or SecretStr"):
        hasher.hash(password)


@pytest.mark.parametrize("password", [b"\xff", "\u0000", "\u00ad\ue000"], ids=repr)
@pytest.mark.parametrize("scheme", ["scram", "oracle11", "mssql2005"])
def test_a_password_that_a_scheme_cannot_hold_never_matches(
    scheme: str, password: str | bytes, hasher: PasswordHasher, argon2_checks: list[bytes]
) -> None:
    """passlib raises on bytes that are no UTF-8, and on what SASLprep prohibits; here it is a clean False."""
    assert hasher.verify(password, OLDER_HASHES[scheme]()) is False
    assert len(argon2_checks) == 1


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("scheme", ["2b", "pbkdf2_sha256", "argon2i"])
def test_a_hash_from_a_binary_column_is_verified(
    scheme: str, kind: Callable[[bytes], bytes], hasher: PasswordHasher
) -> None:
    """Bytes, as a LargeBinary column gives them, are the same hash, and are renewed as text."""
    stored = kind(OLDER_HASHES[scheme]().encode())
    assert hasher.verify("wrong", stored) is False
    matched, renewed = hasher.verify_and_update(PASSWORD, stored)
    assert matched is True
    assert renewed is not None
    assert hasher.needs_update(renewed.encode()) is False


@hypothesis.settings(max_examples=3000 if os.environ.get("SLOW") else 200, deadline=None)
@given(data=st.data())
def test_a_mutated_hash_raises_nothing(data: st.DataObject) -> None:
    """Cut, doubled or changed anywhere, a stored hash gives a bool, and only the whole one lets its password in."""
    hasher = PasswordHasher(Argon2Params.FOR_TESTS_ONLY)
    whole = data.draw(st.sampled_from(MUTATED))
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    stored = whole[:start] + data.draw(st.text(max_size=4)) + whole[end:]
    assert hasher.verify("another password", stored) is False
    assert hasher.verify_and_update(PASSWORD, stored)[0] in ((True,) if stored == whole else (True, False))


ANY_PASSWORD = st.text(st.characters(codec=None), max_size=90) | st.binary(max_size=90)
WRITERS = {
    "argon2id": PasswordHasher(Argon2Params.FOR_TESTS_ONLY),
    "bcrypt_sha256": PasswordHasher(BcryptParams.FOR_TESTS_ONLY),
    "bcrypt": PasswordHasher(BcryptParams(scheme="bcrypt", rounds=4, for_tests_only=True)),
}


@pytest.mark.parametrize("scheme", WRITERS)
@hypothesis.settings(max_examples=1000 if os.environ.get("SLOW") else 60, deadline=None)
@given(password=ANY_PASSWORD, other=ANY_PASSWORD)
def test_any_password_is_hashed_or_refused(scheme: str, password: str | bytes, other: str | bytes) -> None:
    """Whatever the text, lone surrogates and NUL included, it is hashed and matches alone, or it is a PasswordError."""
    hasher = WRITERS[scheme]
    try:
        stored = hasher.hash(password)
    except PasswordError:
        assert hasher.verify(password, hasher.hash("x")) is False
        return
    assert hasher.verify_and_update(password, stored) == (True, None)
    same = raw(password) == raw(other)
    assert hasher.verify(other, stored) is same


def raw(password: str | bytes) -> bytes:
    """Give what a password is compared by."""
    return password if isinstance(password, bytes) else password.encode("utf-8", "surrogatepass")


@hypothesis.settings(max_examples=2000 if os.environ.get("SLOW") else 200, deadline=None)
@given(password=ANY_PASSWORD, stored=st.text(st.characters(codec=None), max_size=120) | st.binary(max_size=120))
def test_any_stored_text_gives_a_verdict(password: str | bytes, stored: str | bytes) -> None:
    """Whatever is in the column, nothing is raised and nobody is let in."""
    assert WRITERS["argon2id"].verify(password, stored) is False


def test_a_real_check_is_not_doubled(hasher: PasswordHasher, argon2_checks: list[bytes]) -> None:
    """A wrong password against a good hash costs exactly one verification, like an unknown user."""
    stored = hasher.hash(PASSWORD)
    assert hasher.verify("wrong", stored) is False
    assert len(argon2_checks) == 1


@pytest.mark.parametrize(
    "stored",
    [
        "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=64,t=1000000,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=2048,t=1,p=200$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$2b$31$" + "." * 53,
        "$6$rounds=999999999$salt$" + "." * 86,
        "$pbkdf2-sha256$999999999$MDEyMzQ1Njc4OWFiY2RlZg$" + "." * 43,
        "pbkdf2_sha256$999999999$salt$" + "A" * 43 + "=",
        "$scrypt$ln=24,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$" + "A" * 43,
        "$scrypt$ln=12,r=8,p=999$MDEyMzQ1Njc4OWFiY2RlZg$" + "A" * 43,
        "$P$S" + "." * 30,
        "$sha1$999999999$salt$" + "." * 28,
        "$md5,rounds=999999999$salt$$" + "." * 22,
        "_zzzzsalt" + "." * 11,
        "$p5k2$3b9ac9ff$" + "A" * 22 + "==$" + "A" * 27 + "=",
        "$p5k2$3b9ac9ff$" + "A" * 16 + "$" + "." * 32,
        "grub.pbkdf2.sha512.999999999." + "AB" * 16 + "." + "AB" * 64,
        "$scram$999999999$HWOslRKCkLKWkrI2$sha-1=u.4EJILDzzEICquHw8r1KHfuTJM",
        "{FSHP1|16|999999999}" + "A" * 64,
        "{PBKDF2-SHA256}999999999$MDEyMzQ1Njc4OWFiY2RlZg$" + "." * 43,
        "{CRYPT}$6$rounds=999999999$salt$" + "." * 86,
        "{CRYPT}$2b$31$" + "." * 53,
        "$2b$15$" + "." * 53,
        "$bcrypt-sha256$v=2,t=2b,r=31$" + "." * 22 + "$" + "." * 31,
        "$argon2id$v=19$m=524288,t=16,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "scrypt$1048576$salt$8$1$" + "A" * 86 + "==",
        "scrypt$16384$salt$8$9999$" + "A" * 86 + "==",
        "scrypt:1048576:8:1$salt$" + "a" * 128,
        "scrypt:262144:8:1$salt$" + "a" * 128,
        "pbkdf2:sha256:999999999$salt$" + "a" * 64,
    ],
    ids=lambda stored: stored[:24],
)
def test_a_hash_that_asks_for_too_much_is_not_computed(
    stored: str, hasher: PasswordHasher, argon2_checks: list[bytes]
) -> None:
    """One bad row must not cost gigabytes or minutes: it is refused at the cost of a real verification."""
    assert hasher._find(stored) is None
    assert hasher.verify("a password", stored) is False
    assert len(argon2_checks) == 1


@pytest.mark.parametrize("scheme", ["sha512_crypt", "sha256_crypt", "phpass"])
def test_a_long_password_against_many_rounds_is_not_computed(
    scheme: str, hasher: PasswordHasher, argon2_checks: list[bytes]
) -> None:
    """These digest the whole password in each round: 4,000 characters and the usual rounds would take five seconds."""
    stored = {
        "sha512_crypt": "$6$rounds=656000$salt$" + "." * 86,
        "sha256_crypt": "$5$rounds=535000$salt$" + "." * 43,
        "phpass": "$P$H" + "." * 30,
    }[scheme]
    started = time.thread_time()
    assert hasher.verify("x" * 4000, stored) is False
    assert time.thread_time() - started < 2
    assert len(argon2_checks) == 1


def test_nul_does_not_repeat_a_bcrypt_password(hasher: PasswordHasher) -> None:
    """bcrypt repeats a password with NUL between, so that to it `ab` and `ab NUL ab` are one; here they are not."""
    stored = bcrypt.hashpw(b"U*U", SALT).decode()
    assert bcrypt.checkpw(b"U*U\0U*U", stored.encode()) is True
    assert hasher.verify("U*U\0U*U", stored) is False
    assert hasher.verify("U*U", stored) is True


def test_what_the_hasher_writes_is_always_verified() -> None:
    """A cost above the limits for others' hashes is the application's own choice."""
    costly = BcryptParams(scheme="bcrypt", rounds=15)
    assert _bcrypt.parse("$2b$15$" + "." * 53, costly, truncate=False) is not None
    assert _bcrypt.parse("$2b$16$" + "." * 53, costly, truncate=False) is None
    large = Argon2Params(memory_cost=2**21, time_cost=1, parallelism=32)
    text = "$argon2id$v=19$m={},t=1,p=32$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
    assert _argon2.parse(text.format(2**21), large) is not None
    assert _argon2.parse(text.format(2**21 + 1), large) is None


def test_a_long_password_does_not_match_by_its_beginning(hasher: PasswordHasher) -> None:
    """A bcrypt hash of 72 bytes does not let a longer password in, unless the application says so."""
    stored = bcrypt.hashpw(b"p" * 72, SALT).decode()
    assert hasher.verify("p" * 72, stored) is True
    assert hasher.verify("p" * 73, stored) is False
    older = PasswordHasher(Argon2Params.FOR_TESTS_ONLY, truncate_bcrypt=True)
    assert older.verify("p" * 73, stored) is True
    assert older.verify("q" * 73, stored) is False


def test_a_repr_shows_the_parameters(hasher: PasswordHasher) -> None:
    """Enough to compare two set-ups, and nothing of a password."""
    hasher.verify(PASSWORD, None)
    assert repr(hasher) == f"PasswordHasher({Argon2Params.FOR_TESTS_ONLY!r}, max_concurrency=4)"


def test_the_usual_functions_work_together() -> None:
    """`hash_password` and `verify_password` are a pair, and take None for an unknown user."""
    stored = hash_password(PASSWORD)
    assert verify_password(PASSWORD, stored) is True
    assert verify_password("wrong", stored) is False
    assert verify_password(PASSWORD, None) is False
