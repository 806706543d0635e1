"""Which new passwords are taken."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import PasswordError, PasswordPolicy

GOOD = "correct horse battery staple"


@pytest.mark.parametrize(
    ("password", "taken"),
    [
        ("x" * 14, False),
        ("x" * 15, True),
        ("\u00e9" * 14, False),
        ("\U0001f600" * 15, True),
        ("\U0001f600" * 64, True),
        (" " * 15, True),
        (GOOD, True),
        ("x" * 4096, True),
    ],
)
def test_fifteen_characters_and_no_rules_of_composition(password: str, taken: bool) -> None:
    """Characters are counted, not bytes, and any of them will do."""
    if taken:
        PasswordPolicy().check(password)
    else:
        with pytest.raises(PasswordError, match=r"^Use a password of at least 15 characters\.$"):
            PasswordPolicy().check(password)


@pytest.mark.parametrize("password", ["\ud800" * 20, "x" * 4097])
def test_what_cannot_be_hashed_is_refused(password: Any) -> None:
    """So that the hasher has nothing left to refuse."""
    with pytest.raises(PasswordError, match=r"readable text of at most 4096 characters"):
        PasswordPolicy().check(password)


@pytest.mark.parametrize("password", [None, b"x" * 20, 5])
def test_what_is_no_text_is_a_mistake_of_the_program(password: Any) -> None:
    """And not the user's, who gets no such text."""
    with pytest.raises(TypeError, match="a new password is a str or SecretStr; got"):
        PasswordPolicy().check(password)


def test_a_secret_str_is_checked_by_its_text() -> None:
    """As pydantic gives it."""
    policy = PasswordPolicy(blocklist={"three sad tigers"})
    policy.check(SecretStr("four happy tigers"))
    with pytest.raises(PasswordError, match="most common"):
        policy.check(SecretStr("three sad tigers"))


def test_eight_characters_are_the_least() -> None:
    """ASVS 6.2.1: a shorter minimum fails at start-up, and so does one that nothing can reach."""
    PasswordPolicy(min_length=8).check("x" * 8)
    for length in (7, 4097):
        with pytest.raises(ConfigurationError, match=f"at least 8 characters .*; got {length}"):
            PasswordPolicy(min_length=length)


@pytest.mark.parametrize("password", ["password1234567", "Password1234567", "PASSWORD1234567"])
def test_a_blocked_password_is_refused_in_any_case(password: str) -> None:
    """The list is in lower case; anything with `in` will do."""
    policy = PasswordPolicy(blocklist={"password1234567"})
    with pytest.raises(PasswordError, match="one of the most common") as caught:
        policy.check(password)
    assert password not in str(caught.value)
    policy.check("password12345678")


def test_a_list_may_hold_passwords_as_they_are() -> None:
    """What is written in capitals in the list is found too."""
    with pytest.raises(PasswordError, match="one of the most common"):
        PasswordPolicy(blocklist=["Correct Horse 1"]).check("Correct Horse 1")


@pytest.mark.parametrize("blocklist", [iter(["a"]), (word for word in ["a"]), 5, None])
def test_a_list_that_cannot_be_asked_again_is_refused(blocklist: Any) -> None:
    """An iterator or an open file is empty after the first password."""
    with pytest.raises(ConfigurationError, match="blocklist must be a set of passwords"):
        PasswordPolicy(blocklist=blocklist)


def test_a_filter_with_in_is_a_list() -> None:
    """It needs neither a length nor a beginning."""

    class Filter:
        def __contains__(self, word: object) -> bool:
            return word == "three sad tigers"

    with pytest.raises(PasswordError, match="most common"):
        PasswordPolicy(blocklist=Filter()).check("three sad tigers")


async def is_breached(password: str) -> bool:
    """Its call gives a coroutine, which is true for every password."""
    return False


@pytest.mark.parametrize("hook", [is_breached, "leaked.txt", {"password"}])
def test_a_hook_that_is_no_plain_function_is_refused(hook: Any) -> None:
    """When the policy is made, and not when somebody registers."""
    with pytest.raises(ConfigurationError, match=r"is_breached must be a function .* no async one"):
        PasswordPolicy(is_breached=hook)


@pytest.mark.parametrize("length", [True, "15", 15.0, None])
def test_a_length_is_an_integer(length: Any) -> None:
    """Anything else is said with words."""
    with pytest.raises(ConfigurationError, match="min_length must be at least 8"):
        PasswordPolicy(min_length=length)


def test_one_word_needs_no_list() -> None:
    """A text is one word, and not its letters."""
    with pytest.raises(PasswordError, match="built on your name"):
        PasswordPolicy().check("adalovelace1234567", words="adalovelace1234")
    PasswordPolicy().check("three sad tigers in a row", words="tigers")


def test_one_text_is_no_list() -> None:
    """`in` would find its parts, and refuse what nobody meant."""
    with pytest.raises(ConfigurationError, match="blocklist must be a set"):
        PasswordPolicy(blocklist="password123")


def test_a_breached_password_is_refused_after_all_else() -> None:
    """The hook gets the password as it is, and is not asked about one that is refused anyway."""
    asked: list[str] = []

    def is_breached(password: str) -> bool:
        asked.append(password)
        return password == GOOD

    policy = PasswordPolicy(is_breached=is_breached, blocklist={"x" * 20})
    with pytest.raises(PasswordError, match="list of leaked ones"):
        policy.check(GOOD)
    for refused in ("short", "x" * 20):
        with pytest.raises(PasswordError):
            policy.check(refused)
    policy.check("another good password")
    assert asked == [GOOD, "another good password"]


def test_what_a_hook_raises_goes_to_the_caller() -> None:
    """Whether everybody is refused when the list cannot be reached is the application's choice."""

    def unreachable(password: str) -> bool:
        raise ConnectionError("no answer")

    with pytest.raises(ConnectionError, match="no answer"):
        PasswordPolicy(is_breached=unreachable).check(GOOD)


@pytest.mark.parametrize(
    ("password", "taken"),
    [
        ("ada.lovelace123456", False),
        ("ADA.LOVELACE123456", False),
        ("ada.lovelace12345678", True),
        ("ada.lovelace@example.com", False),
        ("example.com4567", False),
        ("1234ada.lovelaceada.lovelace567", False),
        ("my friend ada.lovelace writes programs", True),
        ("ada ada ada ada ada", True),
        (GOOD, True),
    ],
)
def test_a_password_built_on_the_users_own_words_is_refused(password: str, taken: bool) -> None:
    """Fewer than 8 characters beside the name or a half of the address are too few; short words don't count."""
    words = [" Ada.Lovelace@example.com ", "ada", None, ""]
    if taken:
        PasswordPolicy().check(password, words=words)
        return
    with pytest.raises(PasswordError, match="built on your name or address") as caught:
        PasswordPolicy().check(password, words=words)
    assert "lovelace" not in str(caught.value)


def test_a_repr_holds_no_list() -> None:
    """Neither the blocked words nor the hook are for a log."""
    assert repr(PasswordPolicy(blocklist={"hunter2"}, is_breached=bool)) == "PasswordPolicy(min_length=15)"


@given(st.text(max_size=40), st.lists(st.text(max_size=12) | st.none(), max_size=3))
def test_no_text_raises_anything_else(password: str, words: list[str | None]) -> None:
    """Whatever the text and the words, it is taken or refused with a PasswordError that does not hold it."""
    try:
        PasswordPolicy(min_length=8).check(password, words=words)
    except PasswordError as error:
        assert len(password) < 8 or password not in str(error)
