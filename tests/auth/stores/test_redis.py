"""The store in Valkey: keys that end by themselves, one round trip, scripts that come back, the clients it takes."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection

from fastapi_patterns.auth.stores import RedisTokenStore
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import RefreshPolicy
from fastapi_patterns.security.refresh import start_session
from tests.auth.stores.opened import open_valkey
from tests.services import ValkeyServer

NOW = datetime.now(UTC).replace(microsecond=123_457)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POLICY = RefreshPolicy()


def test_a_sync_client_is_refused() -> None:
    """When the store is made, with what to pass instead."""
    with redis.Redis() as client, pytest.raises(ConfigurationError, match=r"async one, such as redis\.asyncio"):
        RedisTokenStore(client)
    with pytest.raises(ConfigurationError, match="got str"):
        RedisTokenStore("redis://localhost")


@pytest.mark.services
@pytest.mark.asyncio
async def test_every_key_ends_by_itself(valkey_server: ValkeyServer) -> None:
    """With what it stands for, to the millisecond and not before it; none stays for ever."""
    async with redis.asyncio.Redis.from_url(valkey_server.url) as client:
        store, first = RedisTokenStore(client, prefix="ends:"), start_session("7", policy=POLICY, now=NOW).session
        swapped = start_session("7", policy=POLICY, now=NOW).session
        await store.add_session(first)
        await store.revoke_session(first.sid, at=NOW)
        await store.add_session(swapped)
        assert await store.swap_session(swapped, replace(swapped, expires_at=swapped.expires_at + HOUR))
        await store.revoke_session("unknown", at=NOW)
        await store.revoke_token("j", expires_at=NOW + HOUR)
        await store.revoke_subject("7", at=NOW, expires_at=NOW + DAY)
        await store.revoke_subject("7", at=NOW + HOUR, expires_at=NOW + HOUR)
        ends = {key: await client.pexpiretime(key) async for key in client.scan_iter("ends:*")}
    assert ends == {
        f"ends:session:{first.sid}".encode(): _millis(first.expires_at),
        f"ends:session:{swapped.sid}".encode(): _millis(swapped.expires_at + HOUR),
        b"ends:token:j": _millis(NOW + HOUR),
        b"ends:subject:7": _millis(NOW + DAY),
    }


def _millis(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000 + 124  # 123.457 ms, rounded up


@pytest.mark.services
@pytest.mark.asyncio
async def test_a_check_is_one_round_trip(valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the token names."""
    sent: list[Any] = []
    send = AbstractConnection.send_packed_command

    async def counted(connection: Any, command: Any, *arguments: Any, **options: Any) -> None:
        sent.append(command)
        await send(connection, command, *arguments, **options)

    async with redis.asyncio.Redis.from_url(valkey_server.url) as client:
        store = RedisTokenStore(client, prefix="trip:")
        await client.ping()
        monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
        assert await store.is_revoked(jti="j", sid="s", subject="7", issued_at=NOW)
        assert not await store.is_revoked(jti=None, sid=None, subject="7", issued_at=NOW)
    assert len(sent) == 2


@pytest.mark.services
@pytest.mark.asyncio
async def test_a_server_that_lost_the_scripts_gets_them_again(valkey_server: ValkeyServer) -> None:
    """After a restart, or `SCRIPT FLUSH`."""
    async with redis.asyncio.Redis.from_url(valkey_server.url) as client:
        store = RedisTokenStore(client, prefix="lost:")
        first = start_session("7", policy=POLICY, now=NOW).session
        await store.add_session(first)
        await client.script_flush()
        assert await store.swap_session(first, first)
        assert await store.get_session(first.sid) == first


@pytest.mark.services
@pytest.mark.asyncio
@pytest.mark.parametrize("decode_responses", [False, True])
async def test_answers_may_be_bytes_or_text(valkey_server: ValkeyServer, decode_responses: bool) -> None:
    """The application's client stays as it is."""
    async with open_valkey(valkey_server.url, decode_responses=decode_responses) as opened:
        store, first = opened.store, start_session("7", policy=POLICY, now=NOW).session
        await store.add_session(first)
        assert await store.swap_session(first, first)
        assert await store.get_session(first.sid) == first
        await store.revoke_subject("7", at=NOW, expires_at=NOW + DAY, keep_sid=first.sid)
        assert not await store.is_revoked(jti="j", sid=first.sid, subject="7", issued_at=NOW)
        await store.revoke_subject("7", at=NOW, expires_at=NOW + DAY)
        assert await store.is_revoked(jti="j", sid=first.sid, subject="7", issued_at=NOW)


@pytest.mark.services
@pytest.mark.asyncio
async def test_valkeys_own_client_works_too(valkey_server: ValkeyServer) -> None:
    """It has the same methods."""
    valkey = pytest.importorskip("valkey.asyncio")
    async with valkey.Valkey.from_url(valkey_server.url.replace("redis:", "valkey:")) as client:
        store, first = RedisTokenStore(client, prefix="own:"), start_session("7", policy=POLICY, now=NOW).session
        await store.add_session(first)
        won = await asyncio.gather(*(store.swap_session(first, first) for _ in range(3)))
        assert won == [True] * 3
        assert not await store.is_revoked(jti="j", sid=first.sid, subject="7", issued_at=NOW)


@pytest.mark.asyncio
async def test_a_server_that_is_not_there_is_heard() -> None:
    """Nothing turns its error into an answer, and no password is shown."""
    async with redis.asyncio.Redis.from_url("redis://:s3cret@127.0.0.1:1/0", retry=None) as client:
        store = RedisTokenStore(client)
        assert "s3cret" not in repr(store)
        with pytest.raises(redis.ConnectionError):
            await store.is_revoked(jti=None, sid=None, subject="7", issued_at=NOW)
        with pytest.raises(redis.ConnectionError):
            await store.get_session("s")
