"""Login sessions: what a client gets, what a second use costs, what ends what, and what the log says of it."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from fastapi_patterns import Claims, ConfigurationError, TokenCodec, TokenConfig, TokenError
from fastapi_patterns.auth import InMemoryTokenStore, IssuedTokens, LoginSessions
from fastapi_patterns.security import (
    RefreshPolicy,
    RefreshReuseError,
    TokenClaimsError,
    TokenExpiredError,
    TokenMalformedError,
)
from fastapi_patterns.security.refresh import RefreshSession

pytestmark = pytest.mark.asyncio

NOW = datetime(2030, 1, 1, 12, 0, 0, 700_000, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SECRET = "S3cr3t-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Login:
    """Sessions over a store in memory, all with one clock."""

    def __init__(self, policy: RefreshPolicy | None = None, store: Any = None, **config: Any) -> None:
        self.clock = Clock()
        self.tokens = TokenCodec(TokenConfig(secret_key=SECRET, **config), now=self.clock)
        self.store = InMemoryTokenStore(now=self.clock) if store is None else store
        self.sessions = LoginSessions(self.store, tokens=self.tokens, policy=policy, now=self.clock)

    def claims(self, issued: IssuedTokens) -> Claims:
        """What the access token says."""
        return self.tokens.decode(issued.access_token)

    async def refresh(self, issued: IssuedTokens) -> IssuedTokens:
        """Exchange the refresh token, for an active user without more claims."""
        return await self.sessions.refresh(issued.refresh_token, claims_of=active)

    async def alive(self, issued: IssuedTokens) -> bool:
        """Whether the access token is good."""
        return not await self.sessions.revoked(self.claims(issued))


def active(subject: str) -> Mapping[str, Any]:
    """Every user may log in, and has no more claims."""
    return {}


async def test_a_login_gives_two_tokens() -> None:
    """The access token names the session and the login; the answer shows neither token by itself."""
    login = Login()
    issued = await login.sessions.start(7, data={"scope": "read write"})
    claims = login.claims(issued)
    assert (claims.sub, claims["sid"], claims["auth_time"]) == ("7", issued.sid, int(NOW.timestamp()))
    assert claims.scopes == {"read", "write"}
    assert issued.expires_in_s == 15 * 60
    assert claims.expires_at == NOW.replace(microsecond=0) + 15 * MINUTE
    assert repr(issued) == f"IssuedTokens(expires_in_s=900, sid={issued.sid!r}, scope='read write')"
    assert await login.alive(issued)
    with pytest.raises(FrozenInstanceError):
        issued.sid = "another"  # type: ignore[misc]


@pytest.mark.parametrize("subject", [7, "7", UUID(int=7), "ada@shop.example"])
async def test_a_subject_is_what_a_codec_takes(subject: str | int | UUID) -> None:
    """And is asked for as text."""
    login, asked = Login(), list[str]()

    def claims_of(subject: str) -> Mapping[str, Any]:
        asked.append(subject)
        return {}

    issued = await login.sessions.start(subject)
    again = await login.sessions.refresh(issued.refresh_token, claims_of=claims_of)
    assert asked == [str(subject)]
    assert login.claims(again).sub == str(subject)


@pytest.mark.parametrize("subject", ["", "a\0b", None, True, 1.5, b"7"])
async def test_what_is_no_subject_is_refused(subject: Any) -> None:
    """Before anything is kept."""
    login = Login()
    for call in (login.sessions.start, login.sessions.end_all):
        with pytest.raises(ValueError, match="subject must"):
            await call(subject)


async def test_the_subject_stands_where_the_codec_reads_it() -> None:
    """In the first of its `subject_claims`."""
    login = Login(subject_claims=("user_id", "sub"))
    issued = await login.refresh(await login.sessions.start(7))
    assert login.claims(issued)["user_id"] == "7"
    assert login.claims(issued).int_sub == 7
    with pytest.raises(ValueError, match="user_id cannot be among the claims"):
        await login.sessions.start(7, data={"user_id": 8})


@pytest.mark.parametrize("name", ["sub", "sid", "auth_time", "jti", "exp", "iat"])
async def test_claims_that_are_written_here_cannot_be_passed(name: str) -> None:
    """Neither at login, where nothing is kept then, nor at a refresh, where the token stays good."""
    login = Login()
    with pytest.raises(ValueError, match=name):
        await login.sessions.start(7, data={name: "x"})
    assert "of 0 sessions" in repr(login.store)
    issued = await login.sessions.start(7)
    with pytest.raises(ValueError, match=name):
        await login.sessions.refresh(issued.refresh_token, claims_of=lambda _: {name: "x"})
    assert await login.refresh(issued)


async def test_a_refresh_gives_new_tokens_of_the_same_session() -> None:
    """The time of the login stays in them, whatever time has passed."""
    login = Login()
    first = await login.sessions.start(7)
    login.clock.now += DAY
    second = await login.refresh(first)
    assert second.sid == first.sid
    assert second.refresh_token != first.refresh_token
    assert login.claims(second)["auth_time"] == int(NOW.timestamp())
    assert login.claims(second).issued_at == (NOW + DAY).replace(microsecond=0)
    assert await login.alive(second)
    assert (await login.refresh(second)).sid == first.sid


async def test_a_refresh_asks_what_the_user_may_do_now() -> None:
    """A scope that was taken away since the login is not in the next token."""
    login = Login()
    issued = await login.sessions.start(7, data={"scope": "read admin"})
    again = await login.sessions.refresh(issued.refresh_token, claims_of=lambda _: {"scope": "read"})
    assert login.claims(again).scopes == {"read"}


async def claims_async(subject: str) -> Mapping[str, Any]:
    """As an application over an async database asks."""
    await asyncio.sleep(0)
    return {"role": "editor"}


class Asker:
    """The same as an object."""

    async def __call__(self, subject: str) -> Mapping[str, Any]:
        """Ask."""
        return {"role": "editor"}


@pytest.mark.parametrize(
    "claims_of",
    [
        claims_async,
        Asker(),
        partial(claims_async),
        lambda subject: claims_async(subject),
        lambda subject: {"role": "editor"},
    ],
    ids=["async", "object", "partial", "lambda-of-async", "sync"],
)
async def test_claims_come_from_any_function(claims_of: Any) -> None:
    """Async or not, plain or wrapped."""
    login = Login()
    issued = await login.sessions.start(7)
    again = await login.sessions.refresh(issued.refresh_token, claims_of=claims_of)
    assert login.claims(again)["role"] == "editor"


async def test_a_sync_function_may_block() -> None:
    """It runs in a thread, beside the event loop."""
    import threading

    login, seen = Login(), list[int]()
    issued = await login.sessions.start(7)

    def claims_of(subject: str) -> Mapping[str, Any]:
        seen.append(threading.get_ident())
        return {}

    await login.sessions.refresh(issued.refresh_token, claims_of=claims_of)
    assert seen != [threading.get_ident()]


async def test_a_user_who_is_gone_gets_nothing() -> None:
    """The session ends, with its access tokens: when the user comes back, they log in again."""
    login = Login()
    issued = await login.sessions.start(7)
    with pytest.raises(TokenExpiredError, match="may not log in any more"):
        await login.sessions.refresh(issued.refresh_token, claims_of=lambda _: None)
    assert not await login.alive(issued)
    with pytest.raises(TokenExpiredError, match="the session has ended"):
        await login.refresh(issued)


async def test_what_claims_of_raises_leaves_and_costs_nothing() -> None:
    """A database that is down for a moment logs nobody out."""
    login = Login()
    issued = await login.sessions.start(7)

    def broken(subject: str) -> Mapping[str, Any]:
        raise LookupError("the database is down")

    with pytest.raises(LookupError):
        await login.sessions.refresh(issued.refresh_token, claims_of=broken)
    assert await login.refresh(issued)


async def test_a_second_use_ends_the_session() -> None:
    """With all that came of it: the newest refresh token and every access token."""
    login = Login()
    first = await login.sessions.start(7)
    other = await login.sessions.start(7)
    second = await login.refresh(first)
    third = await login.refresh(second)
    with pytest.raises(RefreshReuseError):
        await login.refresh(first)
    with pytest.raises(TokenExpiredError):
        await login.refresh(third)
    assert [await login.alive(issued) for issued in (first, second, third, other)] == [False, False, False, True]
    assert await login.refresh(other)


async def test_within_the_grace_time_a_lost_answer_is_given_again() -> None:
    """And the answer that was lost is worthless: to use it is reuse."""
    login = Login(RefreshPolicy(grace=10 * SECOND))
    first = await login.sessions.start(7)
    lost = await login.refresh(first)
    login.clock.now += 5 * SECOND
    again = await login.refresh(first)
    assert await login.alive(again)
    with pytest.raises(RefreshReuseError):
        await login.refresh(lost)
    assert not await login.alive(again)


async def test_sessions_end_when_idle_and_at_the_latest() -> None:
    """An access token never outlives its session."""
    login = Login(RefreshPolicy(idle=2 * HOUR, absolute=3 * HOUR))
    issued = await login.sessions.start(7)
    idle = await login.sessions.start(7)
    login.clock.now += 110 * MINUTE
    issued = await login.refresh(issued)
    login.clock.now += 65 * MINUTE
    with pytest.raises(TokenExpiredError):
        await login.refresh(idle)
    issued = await login.refresh(issued)
    assert issued.expires_in_s == 5 * 60
    login.clock.now += 5 * MINUTE
    with pytest.raises(TokenExpiredError):
        login.claims(issued)
    with pytest.raises(TokenExpiredError):
        await login.refresh(issued)


async def test_a_clock_that_is_set_back_makes_nothing_last_longer() -> None:
    """An hour back, a refreshed session still ends by its absolute end."""
    login = Login(RefreshPolicy(idle=2 * HOUR, absolute=2 * HOUR))
    first = await login.sessions.start(7)
    login.clock.now -= HOUR
    second = await login.refresh(first)
    assert login.claims(second).expires_at <= login.clock.now + 15 * MINUTE
    login.clock.now = NOW + 2 * HOUR
    with pytest.raises(TokenExpiredError):
        await login.refresh(second)


@pytest.mark.parametrize("text", [None, "", "nonsense", "x" * 22 + "." + "y" * 43, "a.b.c"])
async def test_what_is_no_refresh_token_is_refused_and_logs_out_nobody(text: str | None) -> None:
    """A refresh is a TokenError; a logout is none, and says nothing."""
    login = Login()
    issued = await login.sessions.start(7)
    for refused in (text, issued.access_token):
        with pytest.raises((TokenMalformedError, TokenExpiredError)):
            await login.sessions.refresh(refused, claims_of=active)
        await login.sessions.end(refused)
    assert await login.alive(issued)


async def test_logout_ends_the_session() -> None:
    """Twice is no error, and an exchanged token will do; other sessions go on."""
    login = Login()
    first, other = await login.sessions.start(7), await login.sessions.start(7)
    second = await login.refresh(first)
    await login.sessions.end(first.refresh_token)
    await login.sessions.end(second.refresh_token)
    with pytest.raises(TokenExpiredError):
        await login.refresh(second)
    assert [await login.alive(issued) for issued in (first, second, other)] == [False, False, True]


async def test_a_new_login_can_end_the_session_before_it() -> None:
    """With the refresh token that the client had (ASVS 5.0 7.2.4)."""
    login = Login()
    before = await login.sessions.start(7)
    after = await login.sessions.start(7)
    await login.sessions.end(before.refresh_token)
    with pytest.raises(TokenExpiredError):
        await login.refresh(before)
    assert [await login.alive(issued) for issued in (before, after)] == [False, True]


async def test_a_session_is_ended_by_its_name() -> None:
    """As an access token has it."""
    login = Login()
    issued, other = await login.sessions.start(7), await login.sessions.start(7)
    await login.sessions.end_session(login.claims(issued)["sid"])
    await login.sessions.end_session("unknown")
    assert [await login.alive(one) for one in (issued, other)] == [False, True]


async def test_all_sessions_end_and_the_next_login_is_a_new_one() -> None:
    """In the same second, and at the same tick of the clock."""
    login = Login()
    mine, others = [await login.sessions.start(7) for _ in range(3)], await login.sessions.start(8)
    await login.sessions.end_all(7)
    again = await login.sessions.start(7)
    assert [await login.alive(one) for one in (*mine, others, again)] == [False, False, False, True, True]
    for one in mine:
        with pytest.raises(TokenExpiredError):
            await login.refresh(one)
    assert await login.alive(await login.refresh(again))


async def test_one_session_may_go_on() -> None:
    """The one that changed the password; its access tokens, also those from before, stay good."""
    login = Login()
    first, second = await login.sessions.start(7), await login.sessions.start(7)
    await login.sessions.end_all("7", keep_sid=first.sid)
    assert [await login.alive(one) for one in (first, second)] == [True, False]
    assert await login.alive(await login.refresh(first))


async def test_tokens_without_a_session_end_with_all_sessions() -> None:
    """Those of the codec alone; one without `iat` counts as old."""
    login = Login()
    before = Claims(login.tokens.decode(login.tokens.encode({"sub": 7})))
    assert not await login.sessions.revoked(before)
    await login.sessions.end_all(7)
    without_iat = Claims({name: value for name, value in before.items() if name != "iat"})
    assert [await login.sessions.revoked(claims) for claims in (before, without_iat)] == [True, True]
    login.clock.now += SECOND
    assert not await login.sessions.revoked(login.tokens.decode(login.tokens.encode({"sub": 7})))
    # Longer than a token of a year lives: forgotten earlier, it would be good again.
    assert await login.store.delete_expired(now=NOW + 366 * DAY - SECOND) == 0
    assert await login.store.delete_expired(now=NOW + 366 * DAY) == 1


async def test_one_access_token_is_revoked() -> None:
    """For as long as it would be accepted, the leeway included; the session goes on."""
    login = Login(leeway=MINUTE)
    issued = await login.sessions.start(7)
    claims = login.claims(issued)
    await login.sessions.revoke(claims)
    assert not await login.alive(issued)
    login.clock.now = claims.expires_at + MINUTE - SECOND
    await login.store.delete_expired(now=login.clock.now)
    assert not await login.alive(issued)
    assert await login.alive(await login.refresh(issued))
    assert await login.store.delete_expired(now=claims.expires_at + MINUTE) == 1


async def test_a_token_without_an_id_cannot_be_revoked_by_it() -> None:
    """Which is said, not passed over; one that never ends can."""
    login = Login()
    with pytest.raises(TokenClaimsError, match="jti"):
        await login.sessions.revoke(Claims({"sub": "7", "exp": 1}))
    endless = Claims({"sub": "7", "exp": 10**20, "jti": "endless"})
    await login.sessions.revoke(endless)
    assert await login.sessions.revoked(endless)


@pytest.mark.parametrize("sid", ["", "unknown", 7, ["x"], {}])
async def test_a_session_that_is_none_has_ended(sid: Any) -> None:
    """A claim `sid` of another type, or that another issuer wrote, lets nobody in."""
    assert await Login().sessions.revoked(Claims({"sub": "7", "exp": 1, "sid": sid}))


class Crowded(InMemoryTokenStore):
    """A store in which somebody else is always quicker."""

    swaps = 0

    async def swap_session(self, old: RefreshSession, new: RefreshSession) -> bool:
        """Lose."""
        self.swaps += 1
        return False


async def test_a_use_that_always_comes_second_gives_up() -> None:
    """After a few rounds, with a TokenError."""
    login = Login(store=Crowded())
    issued = await login.sessions.start(7)
    with pytest.raises(TokenError, match="too often at the same time"):
        await login.refresh(issued)
    assert login.store.swaps == 5


class Down(InMemoryTokenStore):
    """A store that can be taken away."""

    down = False

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name != "down" and self.down:
            raise ConnectionError("the store is down")
        return super().__getattribute__(name)


async def test_a_store_that_is_down_lets_nobody_in() -> None:
    """Its own exception leaves every call; nothing takes it for a yes or a no."""
    login = Login(store=Down())
    issued = await login.sessions.start(7)
    claims = login.claims(issued)
    login.store.down = True
    for call in (
        login.sessions.start(7),
        login.refresh(issued),
        login.sessions.end(issued.refresh_token),
        login.sessions.end_session(issued.sid),
        login.sessions.end_all(7),
        login.sessions.revoke(claims),
        login.sessions.revoked(claims),
    ):
        with pytest.raises(ConnectionError, match="the store is down"):
            await call
    login.store.down = False
    assert await login.alive(await login.refresh(issued))


async def test_the_lifetime_may_be_a_function() -> None:
    """As the codec allows; one that gives nonsense is refused."""
    lifetimes: list[Any] = [5 * MINUTE]
    login = Login(expires_delta=lambda: lifetimes[0])
    issued = await login.sessions.start(7)
    assert issued.expires_in_s == 300
    lifetimes[0] = 5
    with pytest.raises(ConfigurationError, match="expires_delta"):
        await login.refresh(issued)
    lifetimes[0] = MINUTE
    assert (await login.refresh(issued)).expires_in_s == 60


async def test_what_happens_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """With whose and which session, and never with a token or a digest."""
    caplog.set_level(logging.INFO, "fastapi_patterns.auth")
    login = Login()
    first = await login.sessions.start(7)
    second = await login.refresh(first)
    with pytest.raises(TokenError):
        await login.refresh(first)
    with pytest.raises(TokenError):
        await login.refresh(second)
    gone = await login.sessions.start(8)
    with pytest.raises(TokenError):
        await login.sessions.refresh(gone.refresh_token, claims_of=lambda _: None)
    out = await login.sessions.start(9)
    await login.sessions.revoke(login.claims(out))
    await login.sessions.end(out.refresh_token)
    await login.sessions.end(out.refresh_token)
    await login.sessions.end_session(out.sid)
    await login.sessions.end_all(9)
    await login.sessions.end_all(9, keep_sid=out.sid)
    seen = [(each.event, each.levelname, each.user_id, each.sid) for each in caplog.records]  # type: ignore[attr-defined]
    assert seen == [
        ("auth.success", "INFO", "7", first.sid),
        ("auth.success", "INFO", "7", first.sid),
        ("auth.refresh_reuse", "WARNING", "7", first.sid),
        ("auth.failure", "INFO", None, None),
        ("auth.success", "INFO", "8", gone.sid),
        ("auth.revocation", "INFO", "8", gone.sid),
        ("auth.failure", "INFO", None, None),
        ("auth.success", "INFO", "9", out.sid),
        ("auth.revocation", "INFO", "9", out.sid),
        ("auth.revocation", "INFO", "9", out.sid),
        ("auth.revocation", "INFO", None, out.sid),
        ("auth.revocation", "INFO", "9", None),
        ("auth.revocation", "INFO", "9", None),
    ]
    written = caplog.text + str([vars(each) for each in caplog.records])
    for issued in (first, second, gone, out):
        for secret in (issued.access_token, *issued.refresh_token.split(".")):
            assert secret not in written


@pytest.mark.parametrize("issuer", ["https://a.example", lambda: "https://a.example"])
async def test_another_issuers_users_and_sessions_are_its_own(issuer: Any) -> None:
    """Whatever they are called; a single token of theirs may be revoked here all the same."""
    login = Login(issuer=issuer)
    ours = await login.sessions.start(7)
    other = TokenCodec(TokenConfig(secret_key=SECRET, issuer="https://b.example"), now=login.clock)
    theirs = other.decode(other.encode({"sub": 7, "sid": "theirs"}))
    await login.sessions.end_all(7)
    assert not await login.alive(ours)
    assert not await login.sessions.revoked(theirs)
    await login.sessions.revoke(theirs)
    assert await login.sessions.revoked(theirs)


async def test_tokens_of_older_code_end_with_all_sessions_too() -> None:
    """They name no issuer, and are not another one's."""
    login = Login(issuer="https://a.example")
    old = Claims({"sub": "7", "exp": NOW.timestamp() + 900, "iat": NOW.timestamp()})
    assert not await login.sessions.revoked(old)
    await login.sessions.end_all(7)
    assert await login.sessions.revoked(old)


@pytest.mark.parametrize(
    ("asked", "has", "gets"),
    [
        (None, "read write", "read write"),
        (None, ["read", "write"], "read write"),
        (None, None, None),
        (["read"], "read write", "read"),
        (["read", "admin"], ["read", "write"], "read"),
        ([], "read", ""),
        (["read"], None, ""),
    ],
)
async def test_scopes_are_cut_down_to_what_was_asked_for(asked: Any, has: Any, gets: str | None) -> None:
    """At the login and at each refresh, as text."""
    login = Login()
    data = {} if has is None else {"scope": has}
    first = await login.sessions.start(7, data=data, scopes=asked)
    second = await login.sessions.refresh(first.refresh_token, claims_of=lambda _: data)
    for issued in (first, second):
        assert issued.scope == login.claims(issued).get("scope") == gets


@pytest.mark.parametrize(
    ("store", "tokens", "problem"),
    [
        (InMemoryTokenStore, None, "store must be a store, .* got the class InMemoryTokenStore"),
        (object(), None, "store must be a store, .* got an instance of object"),
        (InMemoryTokenStore(), TokenCodec, "tokens must be a TokenCodec; got the class TokenCodec"),
    ],
)
async def test_what_cannot_work_is_refused_at_once(store: Any, tokens: Any, problem: str) -> None:
    """A class in place of an object, most often."""
    codec = TokenCodec(TokenConfig(secret_key=SECRET)) if tokens is None else tokens
    with pytest.raises(ConfigurationError, match=problem):
        LoginSessions(store, tokens=codec)
