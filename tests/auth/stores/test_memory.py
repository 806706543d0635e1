"""The store in memory: bounded, for several threads and event loops, forgetting only what is safe to forget."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from fastapi_patterns.auth.stores import InMemoryTokenStore
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import RefreshPolicy
from fastapi_patterns.security.refresh import RefreshSession, Rotation, rotate, start_session

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POLICY = RefreshPolicy()


def begun(subject: str = "7", at: datetime = NOW) -> Rotation:
    """A session that has begun."""
    return start_session(subject, policy=POLICY, now=at)


async def kept(store: InMemoryTokenStore, *sessions: RefreshSession) -> list[bool]:
    """Which of them are kept."""
    return [await store.get_session(session.sid) is not None for session in sessions]


def test_it_says_first_what_it_is_for() -> None:
    """One process, and tests."""
    assert (InMemoryTokenStore.__doc__ or "").startswith("For one process and for tests")


@pytest.mark.asyncio
async def test_a_full_store_drops_what_has_ended_first() -> None:
    """Expired, revoked, or ended with all of its subject's; live ones stay."""
    store = InMemoryTokenStore(max_sessions=4, now=lambda: NOW)
    live, expired, revoked, cut = begun(), begun(at=NOW - POLICY.idle), begun(), begun("8")
    for rotation in (live, expired, revoked, cut):
        await store.add_session(rotation.session)
    await store.revoke_session(revoked.session.sid, at=NOW)
    await store.revoke_subject("8", at=NOW, expires_at=NOW + DAY)
    new = begun()
    await store.add_session(new.session)
    sessions = [rotation.session for rotation in (live, expired, revoked, cut, new)]
    assert await kept(store, *sessions) == [True, False, False, False, True]
    assert "2 sessions" in repr(store)


@pytest.mark.asyncio
async def test_a_store_full_of_live_sessions_drops_the_one_unused_for_longest() -> None:
    """An exchange is a use; the user whose session went is refused, never let in."""
    store = InMemoryTokenStore(max_sessions=3, now=lambda: NOW)
    first, second, third, fourth = (begun() for _ in range(4))
    for rotation in (first, second, third):
        await store.add_session(rotation.session)
    used = rotate(first.token, first.session, policy=POLICY, now=NOW).session
    assert await store.swap_session(first.session, used)
    await store.add_session(fourth.session)
    sessions = [rotation.session for rotation in (first, second, third, fourth)]
    assert await kept(store, *sessions) == [True, False, True, True]
    assert await store.is_revoked(jti=None, sid=second.session.sid, subject="7", issued_at=NOW)


@pytest.mark.asyncio
async def test_revocations_end_with_their_time_and_not_before() -> None:
    """However many there are: what has ended is looked for now and then, and what has not is never dropped."""
    now = [NOW]
    store = InMemoryTokenStore(max_sessions=1, now=lambda: now[0])
    for number in range(3000):
        await store.revoke_token(f"short-{number}", expires_at=NOW + HOUR)
    await store.revoke_token("long", expires_at=NOW + DAY)
    await store.revoke_subject("7", at=NOW, expires_at=NOW + DAY)
    assert await store.is_revoked(jti="short-0", sid=None, subject="8", issued_at=NOW)
    now[0] += HOUR
    for number in range(2000):
        await store.revoke_token(f"next-{number}", expires_at=NOW + DAY)
    assert not await store.is_revoked(jti="short-0", sid=None, subject="8", issued_at=NOW)
    for jti in ("long", "next-0", "next-1999"):
        assert await store.is_revoked(jti=jti, sid=None, subject="8", issued_at=NOW)
    assert await store.is_revoked(jti=None, sid=None, subject="7", issued_at=NOW)
    assert await store.delete_expired(now=NOW + DAY) == 2002


def test_threads_with_event_loops_of_their_own_share_it() -> None:
    """Of 8 loops that swap the same 200 sessions, one wins each, and nothing is lost."""
    store = InMemoryTokenStore()
    rounds = [begun() for _ in range(200)]

    async def add_all() -> None:
        for rotation in rounds:
            await store.add_session(rotation.session)

    async def swap_all() -> list[bool]:
        return [
            await store.swap_session(one.session, rotate(one.token, one.session, policy=POLICY, now=NOW).session)
            for one in rounds
        ]

    asyncio.run(add_all())
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda _: asyncio.run(swap_all()), range(8)))
    assert [sum(each) for each in zip(*won, strict=True)] == [1] * len(rounds)


def test_it_keeps_at_least_one_session() -> None:
    """Anything less is a mistake."""
    with pytest.raises(ConfigurationError, match="max_sessions must be at least 1; got 0"):
        InMemoryTokenStore(max_sessions=0)
