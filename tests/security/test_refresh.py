"""Refresh tokens: what a session becomes when its token is used, used again, used late, or lost on the way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import (
    RefreshPolicy,
    RefreshReuseError,
    TokenError,
    TokenExpiredError,
    TokenMalformedError,
)
from fastapi_patterns.security.refresh import Rotation, parse_refresh_token, rotate, start_session

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
POLICY = RefreshPolicy()
GRACE = RefreshPolicy(grace=10 * SECOND)


def started(policy: RefreshPolicy = POLICY) -> Rotation:
    """A session that has just begun."""
    return start_session("7", policy=policy, now=NOW)


def test_a_token_is_exchanged_for_another_of_the_same_session() -> None:
    """The session keeps its name, owner and beginning; its token changes and its end moves on."""
    first = started()
    second = rotate(first.token, first.session, policy=POLICY, now=NOW + DAY)
    assert second.token != first.token
    assert parse_refresh_token(second.token).sid == first.session.sid
    assert second.session == replace(
        first.session,
        digest=parse_refresh_token(second.token).digest,
        previous_digest=first.session.digest,
        rotated_at=NOW + DAY,
        expires_at=NOW + 15 * DAY,
    )


def test_a_second_use_is_reuse() -> None:
    """Without a grace time a token works once, at the same moment too."""
    first = started()
    second = rotate(first.token, first.session, policy=POLICY, now=NOW)
    with pytest.raises(RefreshReuseError, match="was used before"):
        rotate(first.token, second.session, policy=POLICY, now=NOW)
    assert issubclass(RefreshReuseError, TokenError)


def test_a_token_with_another_secret_is_reuse() -> None:
    """Also in a session that was never rotated: who knows its name has seen a token of it."""
    first, other = started(), started()
    forged = first.token.partition(".")[0] + "." + other.token.partition(".")[2]
    for policy in (POLICY, GRACE):
        with pytest.raises(RefreshReuseError):
            rotate(forged, first.session, policy=policy, now=NOW)


@pytest.mark.parametrize("after", [POLICY.idle, POLICY.idle + DAY, 400 * DAY])
def test_an_idle_session_ends(after: timedelta) -> None:
    """At its end, not after it."""
    first = started()
    rotate(first.token, first.session, policy=POLICY, now=NOW + POLICY.idle - timedelta(microseconds=1))
    with pytest.raises(TokenExpiredError, match="the session has ended"):
        rotate(first.token, first.session, policy=POLICY, now=NOW + after)


def test_no_use_takes_a_session_past_its_absolute_end() -> None:
    """A session that is used every day ends 90 days after the login (ASVS 5.0 7.3.2)."""
    current, days = started(), 0
    while True:
        days += 1
        try:
            current = rotate(current.token, current.session, policy=POLICY, now=NOW + days * DAY)
        except TokenExpiredError:
            break
        assert current.session.expires_at <= NOW + POLICY.absolute
    assert days == 90


def test_a_session_that_is_revoked_or_unknown_has_ended() -> None:
    """With one text for all of it; a used token of such a session is no reuse any more."""
    first = started()
    second = rotate(first.token, first.session, policy=POLICY, now=NOW)
    for token in (first.token, second.token):
        for session in (None, replace(second.session, revoked_at=NOW)):
            with pytest.raises(TokenExpiredError, match="the session has ended"):
                rotate(token, session, policy=POLICY, now=NOW)


def test_a_lost_answer_is_replaced_within_the_grace_time() -> None:
    """The successor that nobody used is worthless then, and the window does not begin anew."""
    first = started(GRACE)
    lost = rotate(first.token, first.session, policy=GRACE, now=NOW)
    again = rotate(first.token, lost.session, policy=GRACE, now=NOW + 9 * SECOND)
    assert again.session.previous_digest == first.session.digest
    assert again.session.rotated_at == NOW
    assert rotate(again.token, again.session, policy=GRACE, now=NOW + 9 * SECOND).token
    with pytest.raises(RefreshReuseError):
        rotate(lost.token, again.session, policy=GRACE, now=NOW + 9 * SECOND)
    with pytest.raises(RefreshReuseError):
        rotate(first.token, again.session, policy=GRACE, now=NOW + 10 * SECOND)


def test_the_grace_time_ends_when_the_successor_is_used() -> None:
    """Then the answer was not lost."""
    first = started(GRACE)
    second = rotate(first.token, first.session, policy=GRACE, now=NOW)
    third = rotate(second.token, second.session, policy=GRACE, now=NOW + SECOND)
    with pytest.raises(RefreshReuseError):
        rotate(first.token, third.session, policy=GRACE, now=NOW + SECOND)


def test_a_clock_that_is_set_back_opens_nothing() -> None:
    """An hour back, the window is not an hour longer, and a session does not end later than it would have."""
    first = started(GRACE)
    second = rotate(first.token, first.session, policy=GRACE, now=NOW)
    assert rotate(first.token, second.session, policy=GRACE, now=NOW - SECOND).token  # two machines' clocks
    with pytest.raises(RefreshReuseError):
        rotate(first.token, second.session, policy=GRACE, now=NOW - timedelta(hours=1))
    third = rotate(second.token, second.session, policy=GRACE, now=NOW - timedelta(hours=1))
    assert third.session.expires_at < second.session.expires_at


@pytest.mark.parametrize(
    "text",
    [
        None, 7, b"x" * 66, "", ".", "a.b", "x" * 66, "x" * 22 + "." + "y" * 42, "x" * 22 + "." + "y" * 44,
        "x" * 21 + "." + "y" * 44, "x" * 23 + "." + "y" * 42, "é" * 22 + "." + "y" * 43, "x" * 5_000_000,
    ],
    ids=lambda text: repr(text)[:30],
)  # fmt: skip
def test_what_is_no_refresh_token_is_refused(text: Any) -> None:
    """By its form, without asking any store; nothing but a TokenError leaves."""
    with pytest.raises(TokenMalformedError, match="not a refresh token"):
        parse_refresh_token(text)
    with pytest.raises(TokenMalformedError):
        rotate(text, started().session, policy=POLICY, now=NOW)


@hypothesis.given(st.text(max_size=80) | st.from_regex(r"[\x00-\x7f]{22}\.[\x00-\x7f]{43}", fullmatch=True))
def test_any_text_is_refused_or_names_a_session(text: str) -> None:
    """The name of the session and the digest are hexadecimal, whatever a client sends."""
    try:
        found = parse_refresh_token(text)
    except TokenMalformedError:
        return
    assert len(found.sid) == 32
    assert len(found.digest) == 64
    assert int(found.sid + found.digest, 16) >= 0


def test_nothing_that_is_kept_or_shown_is_a_token() -> None:
    """Neither half of a token is in the session, and no repr holds a token or a digest."""
    first = started()
    second = rotate(first.token, first.session, policy=POLICY, now=NOW)
    name, _, secret = second.token.partition(".")
    stored = [str(getattr(second.session, slot)) for slot in second.session.__slots__]
    assert not any(name in value or secret in value for value in stored)
    shown = repr(second) + repr(parse_refresh_token(second.token))
    for hidden in (name, secret, second.session.digest, first.session.digest):
        assert hidden not in shown


def test_tokens_are_long_random_and_never_the_same() -> None:
    """128 bits name a session and 256 prove it (ASVS 5.0 7.2.3)."""
    made = [started() for _ in range(1000)]
    assert len({one.session.sid for one in made}) == len({one.token[23:] for one in made}) == 1000
    assert {len(one.token) for one in made} == {66}


Step = tuple[int, bool]


@hypothesis.given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=30), st.booleans())
def test_one_token_is_good_at_any_time(steps: list[Step], forgiving: bool) -> None:
    """Over any course of uses, of the newest token or of an older one, the rules below hold."""
    policy = RefreshPolicy(idle=5 * SECOND, absolute=60 * SECOND, grace=timedelta(seconds=3 if forgiving else 0))
    now, current = NOW, start_session("7", policy=policy, now=NOW)
    given = [current.token]
    for seconds, newest in steps:
        now += timedelta(seconds=seconds / 10)
        token = given[-1] if newest or len(given) == 1 else given[-2]
        try:
            rotated = rotate(token, current.session, policy=policy, now=now)
        except TokenExpiredError:
            assert now >= current.session.expires_at
            return
        except RefreshReuseError:
            assert token != given[-1]
            return
        assert token == given[-1] or (forgiving and now < current.session.rotated_at + policy.grace)
        assert now < rotated.session.expires_at <= min(now + policy.idle, NOW + policy.absolute)
        if token != given[-1]:
            given.pop()  # it was never used, and is replaced
        current = rotated
        given.append(current.token)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"idle": 14}, "idle must be a timedelta; got int"),
        ({"absolute": None}, "absolute must be a timedelta; got NoneType"),
        ({"grace": 10.0}, "grace must be a timedelta; got float"),
        ({"idle": timedelta(0)}, "idle must be positive"),
        ({"idle": 91 * DAY}, "at most absolute"),
        ({"grace": 31 * SECOND}, "grace must be between 0 and 30 seconds"),
        ({"grace": -SECOND}, "grace must be between"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    """When it is made."""
    with pytest.raises(ConfigurationError, match=said):
        RefreshPolicy(**options)


def test_the_default_policy_has_no_grace_time() -> None:
    """Within one, a stolen token works beside the real one: it has to be asked for."""
    assert (POLICY.idle, POLICY.absolute, POLICY.grace) == (14 * DAY, 90 * DAY, timedelta(0))
    assert RefreshPolicy(idle=POLICY.absolute, grace=30 * SECOND)
