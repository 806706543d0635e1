"""What every store promises: in memory, on SQLite and PostgreSQL, sync and async, and on Valkey."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fastapi_patterns.auth.stores import TokenStore
from fastapi_patterns.security import RefreshPolicy
from fastapi_patterns.security.refresh import RefreshSession, Rotation, rotate, start_session
from tests.auth.stores.opened import Opened

pytestmark = pytest.mark.asyncio

# Near the real time: Valkey forgets by its own clock. With microseconds that binary fractions cannot write.
NOW = datetime.now(UTC).replace(microsecond=123_457)
TICK, SECOND, HOUR, DAY = timedelta(microseconds=1), timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
POLICY = RefreshPolicy()


def begun(subject: str = "7", at: datetime = NOW) -> Rotation:
    """A session that has begun."""
    return start_session(subject, policy=POLICY, now=at)


def after(rotation: Rotation) -> Rotation:
    """The same session, one exchange later."""
    return rotate(rotation.token, rotation.session, policy=POLICY, now=NOW + SECOND)


async def kept(store: TokenStore, session: RefreshSession) -> RefreshSession:
    """The session as the store has it."""
    found = await store.get_session(session.sid)
    assert found is not None
    return found


async def refuses(store: TokenStore, session: RefreshSession, jti: str | None = "j") -> bool:
    """Whether the access tokens of a session are refused."""
    return await store.is_revoked(jti=jti, sid=session.sid, subject=session.subject, issued_at=NOW)


async def test_a_session_comes_back_as_it_was_given(store: TokenStore) -> None:
    """To the microsecond, with its time zone; one that is not kept is None."""
    session = begun().session
    await store.add_session(session)
    assert await store.get_session(session.sid) == session
    assert (await kept(store, session)).created_at.tzinfo == UTC
    assert await store.get_session(begun().session.sid) is None


async def test_a_session_is_swapped_once(store: TokenStore) -> None:
    """The old one then is not there any more; what never was there cannot be swapped in."""
    first = begun()
    second, other = after(first), after(first)
    await store.add_session(first.session)
    assert await store.swap_session(first.session, second.session) is True
    assert await store.get_session(first.session.sid) == second.session
    assert await store.swap_session(first.session, other.session) is False
    assert await store.swap_session(second.session, after(second).session) is True
    stranger = begun()
    assert await store.swap_session(stranger.session, after(stranger).session) is False
    assert await store.get_session(stranger.session.sid) is None


async def test_of_fifty_swaps_at_once_one_wins(store: TokenStore) -> None:
    """And the session that it brought is the one that is kept."""
    first = begun()
    await store.add_session(first.session)
    successors = [after(first).session for _ in range(50)]
    won = await asyncio.gather(*(store.swap_session(first.session, successor) for successor in successors))
    assert won.count(True) == 1
    assert await store.get_session(first.session.sid) == successors[won.index(True)]


async def test_a_revoked_session_is_swapped_no_more(store: TokenStore) -> None:
    """It is kept with the moment of its first end; to end it again, or an unknown one, is no error."""
    first, unknown = begun(), begun()
    await store.add_session(first.session)
    await store.revoke_session(first.session.sid, at=NOW + SECOND)
    await store.revoke_session(first.session.sid, at=NOW + HOUR)
    await store.revoke_session(unknown.session.sid, at=NOW)
    assert await store.get_session(first.session.sid) == replace(first.session, revoked_at=NOW + SECOND)
    assert await store.get_session(unknown.session.sid) is None
    assert await store.swap_session(first.session, after(first).session) is False


@pytest.mark.parametrize("all_of_them", [False, True], ids=["session", "subject"])
async def test_a_session_that_is_revoked_during_swaps_stays_revoked(store: TokenStore, all_of_them: bool) -> None:
    """Whoever comes first, it has ended in the end, and with it the access tokens of whoever won."""
    for _ in range(5):
        first = begun()
        await store.add_session(first.session)
        sid = first.session.sid
        swaps = [store.swap_session(first.session, after(first).session) for _ in range(8)]
        if all_of_them:
            end = store.revoke_subject("7", at=NOW + SECOND, expires_at=NOW + DAY)
        else:
            end = store.revoke_session(sid, at=NOW + SECOND)
        won = await asyncio.gather(*swaps[:4], end, *swaps[4:])
        assert won.count(True) <= 1
        assert (await kept(store, first.session)).revoked_at == NOW + SECOND
        assert await refuses(store, first.session)


async def test_a_token_is_revoked_by_its_id(store: TokenStore) -> None:
    """That one alone; twice is no error; a token without an id has no other's."""
    session = begun().session
    await store.add_session(session)
    await store.revoke_token("a", expires_at=NOW + HOUR)
    await store.revoke_token("a", expires_at=NOW + HOUR)
    assert await refuses(store, session, "a")
    assert not await refuses(store, session, "b")
    assert not await refuses(store, session, None)
    assert await store.is_revoked(jti="a", sid=None, subject="8", issued_at=NOW)
    assert not await store.is_revoked(jti=None, sid=None, subject="8", issued_at=NOW)


async def test_a_token_is_revoked_with_its_session(store: TokenStore) -> None:
    """Also when the session is not kept any more, or never was; the next login is not."""
    session, unknown = begun().session, begun().session
    await store.add_session(session)
    assert not await refuses(store, session)
    await store.revoke_session(session.sid, at=NOW)
    assert await refuses(store, session)
    assert await refuses(store, unknown)
    again = begun().session
    await store.add_session(again)
    assert not await refuses(store, again)


async def test_all_sessions_of_somebody_end(store: TokenStore) -> None:
    """Theirs alone, and not those that begin a moment later, in the same second."""
    mine, others = [begun().session for _ in range(3)], begun("8").session
    for session in (*mine, others):
        await store.add_session(session)
    await store.revoke_subject("7", at=NOW, expires_at=NOW + DAY)
    later = begun(at=NOW + TICK).session
    await store.add_session(later)
    for session in mine:
        assert (await kept(store, session)).revoked_at == NOW
        assert await refuses(store, session)
    for session in (others, later):
        assert await store.get_session(session.sid) == session
        assert not await refuses(store, session)


async def test_a_session_that_is_added_after_the_end_of_all_has_ended(store: TokenStore) -> None:
    """A login that began before it and was kept after it is no way around it."""
    session = begun().session
    await store.revoke_subject("7", at=NOW, expires_at=NOW + DAY)
    await store.add_session(session)
    assert (await kept(store, session)).revoked_at == NOW
    assert await refuses(store, session)


async def test_one_session_goes_on_when_all_others_end(store: TokenStore) -> None:
    """And another one that is named later stays ended, whatever the clocks say."""
    first, second, third = (begun().session for _ in range(3))
    for session in (first, second, third):
        await store.add_session(session)
    await store.revoke_subject("7", at=NOW, expires_at=NOW + DAY, keep_sid=first.sid)
    assert [await refuses(store, session) for session in (first, second, third)] == [False, True, True]
    await store.revoke_subject("7", at=NOW + SECOND, expires_at=NOW + DAY, keep_sid=first.sid)
    assert await store.get_session(first.sid) == first
    await store.revoke_subject("7", at=NOW - SECOND, expires_at=NOW + HOUR, keep_sid=second.sid)
    assert [await refuses(store, session) for session in (first, second, third)] == [True, True, True]
    assert (await kept(store, second)).revoked_at is not None


async def test_tokens_without_a_session_end_with_their_subject(store: TokenStore) -> None:
    """Those that were made until then, the same moment included, and those that do not say when."""
    cut = NOW.replace(microsecond=500_000)
    await store.revoke_subject("7", at=cut, expires_at=NOW + DAY)

    async def refused(issued_at: datetime | None, subject: str = "7") -> bool:
        return await store.is_revoked(jti="j", sid=None, subject=subject, issued_at=issued_at)

    whole_second = cut.replace(microsecond=0)  # of a token that was made after the cut, in the same second
    assert [await refused(moment) for moment in (None, NOW - DAY, whole_second, cut)] == [True] * 4
    assert [await refused(moment) for moment in (cut + TICK, cut + SECOND)] == [False] * 2
    assert not await refused(None, "8")
    await store.revoke_subject("7", at=cut - DAY, expires_at=NOW + DAY)
    assert await refused(cut)


async def test_what_has_ended_is_forgotten(store: TokenStore) -> None:
    """And nothing else: what is forgotten is refused if it was a session, and good if it was a revocation."""
    live, ended = begun(), begun(at=NOW - POLICY.idle)
    for rotation in (live, ended):
        await store.add_session(rotation.session)
    await store.revoke_token("live", expires_at=NOW + HOUR)
    await store.revoke_token("ended", expires_at=NOW)
    await store.revoke_subject("8", at=NOW - DAY, expires_at=NOW + HOUR)
    await store.revoke_subject("9", at=NOW - DAY, expires_at=NOW)
    # Valkey has forgotten them by itself.
    assert await store.delete_expired(now=NOW) in (0, 3)
    assert await store.delete_expired(now=NOW) == 0
    assert await store.get_session(live.session.sid) == live.session
    assert await store.get_session(ended.session.sid) is None
    assert await refuses(store, ended.session)
    assert [await refuses(store, live.session, jti) for jti in ("live", "ended")] == [True, False]
    old = NOW - 2 * DAY
    revoked = [await store.is_revoked(jti=None, sid=None, subject=name, issued_at=old) for name in ("8", "9")]
    assert revoked == [True, False]


async def test_ending_all_again_is_remembered_for_the_longer_time(store: TokenStore) -> None:
    """The first end is not forgotten because the second may be."""
    await store.revoke_subject("7", at=NOW, expires_at=NOW + DAY)
    await store.revoke_subject("7", at=NOW + SECOND, expires_at=NOW + HOUR)
    assert await store.delete_expired(now=NOW + HOUR) == 0
    assert await store.is_revoked(jti=None, sid=None, subject="7", issued_at=NOW + SECOND)


async def test_a_swapped_session_is_kept_longer(store: TokenStore) -> None:
    """Until its new end; one that was revoked goes at the old one."""
    short = RefreshPolicy(idle=HOUR)
    first = start_session("7", policy=short, now=NOW)
    second = rotate(first.token, first.session, policy=POLICY, now=NOW)
    await store.add_session(first.session)
    assert await store.swap_session(first.session, second.session)
    await store.delete_expired(now=NOW + HOUR)
    assert await store.get_session(first.session.sid) == second.session


async def test_odd_names_are_names(store: TokenStore) -> None:
    """Quotes, braces, blanks and other scripts' letters are kept as they are and compared exactly."""
    for subject in ("o'brien", "{a}:*", "ada@shop.example", "Ünï 名前", "%"):
        session = begun(subject).session
        await store.add_session(session)
        await store.revoke_token(subject, expires_at=NOW + HOUR)
        assert await store.get_session(session.sid) == session
        assert await refuses(store, session, subject)
        assert not await refuses(store, session, subject + "x")
        await store.revoke_subject(subject, at=NOW, expires_at=NOW + HOUR)
        assert await refuses(store, session)


async def test_a_dump_of_the_store_holds_no_token(opened: Opened) -> None:
    """Neither a refresh token nor one of its halves, through exchanges and revocations."""
    first = begun()
    second = after(first)
    await opened.store.add_session(first.session)
    assert await opened.store.swap_session(first.session, second.session)
    await opened.store.revoke_token("some-id", expires_at=NOW + HOUR)
    await opened.store.revoke_subject("7", at=NOW, expires_at=NOW + HOUR, keep_sid=first.session.sid)
    dumped = await asyncio.to_thread(opened.dump)
    assert first.session.sid in dumped
    for token in (first.token, second.token):
        for part in token.split("."):
            assert part not in dumped


async def test_a_store_shows_no_secret(opened: Opened) -> None:
    """Its repr names no server's password and no session."""
    session = begun().session
    await opened.store.add_session(session)
    assert type(opened.store).__name__ in repr(opened.store)
    assert session.sid not in repr(opened.store)
