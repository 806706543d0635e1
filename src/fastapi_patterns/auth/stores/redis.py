"""`RedisTokenStore`: sessions and revoked tokens in Redis or Valkey, through the client that the application has.

It imports neither: the client does the work. Keys end by themselves.
"""

import inspect
from datetime import datetime
from typing import Any

from fastapi_patterns.auth.stores._kept import CutOff, as_seen, from_micros, is_revoked, to_micros
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security.refresh import RefreshSession

__all__ = ["RedisTokenStore"]

_CUT_OFF_FIELDS = ("at", "keep", "floor")

# Each script touches one key, so that they run on a cluster too. Moments go through as text: Lua's numbers would print
# microseconds rounded.
_ADD = """
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
"""
_SWAP = """
if redis.call('HGET', KEYS[1], 'digest') ~= ARGV[1] or redis.call('HEXISTS', KEYS[1], 'revoked') == 1 then
  return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
return 1
"""
_REVOKE = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSETNX', KEYS[1], 'revoked', ARGV[1])
end
"""
# As `CutOff.then` does it.
_CUT_OFF = """
local at, keep, floor, till = unpack(redis.call('HMGET', KEYS[1], 'at', 'keep', 'floor', 'till'))
local new_at, new_keep, new_till = ARGV[1], ARGV[2], ARGV[3]
if at then
  if keep ~= new_keep then floor = at end
  if tonumber(at) > tonumber(new_at) then new_at = at end
  if tonumber(till) > tonumber(new_till) then new_till = till end
end
redis.call('HSET', KEYS[1], 'at', new_at, 'keep', new_keep, 'till', new_till)
if floor then redis.call('HSET', KEYS[1], 'floor', floor) end
redis.call('PEXPIREAT', KEYS[1], new_till)
"""


class RedisTokenStore:
    """Keeps sessions and revoked tokens in Redis 6.2 or newer, or in Valkey.

    The server must not drop keys when its memory is full (`maxmemory-policy noeviction`): a revoked token would work
    again. A replica that takes over may lack the last second's revocations, as replication does not wait.

    Args:
        client: A `redis.asyncio.Redis` or `valkey.asyncio.Valkey`, with or without `decode_responses`; the application
            opens and closes it. Those of clusters work too: no operation but `is_revoked` needs more than one key.
        prefix: What the keys begin with.

    Raises:
        ConfigurationError: The client is not an async one.
    """

    def __init__(self, client: Any, *, prefix: str = "auth:") -> None:
        if not inspect.iscoroutinefunction(getattr(client, "execute_command", None)):
            raise ConfigurationError(
                f"client must be an async one, such as redis.asyncio.Redis.from_url(...); got {type(client).__name__}"
            )
        self._client = client
        self._prefix = prefix
        self._add = client.register_script(_ADD)
        self._swap = client.register_script(_SWAP)
        self._revoke = client.register_script(_REVOKE)
        self._cut = client.register_script(_CUT_OFF)

    async def add_session(self, session: RefreshSession) -> None:
        """Keep a new session."""
        await self._add(keys=[self._session_key(session.sid)], args=[_millis(session.expires_at), *_fields(session)])

    async def get_session(self, sid: str) -> RefreshSession | None:
        """Give a session, also one that has ended, as long as it is kept."""
        fields = await self._client.hgetall(self._session_key(sid))
        found = {_text(name): _text(value) for name, value in fields.items()}
        if not found:
            return None
        cut_off = _cut_off(await self._client.hmget(self._subject_key(found["subject"]), *_CUT_OFF_FIELDS))
        return as_seen(_session(sid, found), cut_off)

    async def swap_session(self, old: RefreshSession, new: RefreshSession) -> bool:
        """Put `new` in the place of `old`, if it is still there and not revoked: one script."""
        arguments = [old.digest, _millis(new.expires_at), *_fields(new)]
        return bool(await self._swap(keys=[self._session_key(old.sid)], args=arguments) == 1)

    async def revoke_session(self, sid: str, *, at: datetime) -> None:
        """End a session."""
        await self._revoke(keys=[self._session_key(sid)], args=[to_micros(at)])

    async def revoke_subject(
        self, subject: str, *, at: datetime, expires_at: datetime, keep_sid: str | None = None
    ) -> None:
        """End all of somebody's sessions and access tokens, except those of one session."""
        await self._cut(keys=[self._subject_key(subject)], args=[to_micros(at), keep_sid or "", _millis(expires_at)])

    async def revoke_token(self, jti: str, *, expires_at: datetime) -> None:
        """Refuse an access token by its id, until it would have ended anyway."""
        await self._client.set(self._token_key(jti), "", pxat=_millis(expires_at))

    async def is_revoked(self, *, jti: str | None, sid: str | None, subject: str, issued_at: datetime | None) -> bool:
        """Tell whether an access token was revoked: one round trip."""
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.hmget(self._subject_key(subject), *_CUT_OFF_FIELDS)
            pipeline.exists(self._token_key(jti or ""))
            pipeline.hmget(self._session_key(sid or ""), "created", "revoked")
            cut_off, token, (created, revoked) = await pipeline.execute()
        return is_revoked(
            token_revoked=jti is not None and token == 1,
            sid=sid,
            begun=_moment(created) if revoked is None else None,
            cut_off=_cut_off(cut_off),
            issued_at=issued_at,
        )

    async def delete_expired(self, *, now: datetime) -> int:
        """Do nothing: keys end by themselves, by the server's clock.

        Returns:
            0.
        """
        return 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(prefix={self._prefix!r})"  # the client's shows the password of its URL

    def _session_key(self, sid: str) -> str:
        return f"{self._prefix}session:{sid}"

    def _subject_key(self, subject: str) -> str:
        return f"{self._prefix}subject:{subject}"

    def _token_key(self, jti: str) -> str:
        return f"{self._prefix}token:{jti}"


def _millis(moment: datetime) -> int:
    """Round up, so that nothing that is revoked ends a moment too early."""
    return -(-to_micros(moment) // 1000)


def _fields(session: RefreshSession) -> list[str | int]:
    fields: dict[str, str | int | None] = {
        "subject": session.subject,
        "digest": session.digest,
        "previous": session.previous_digest,
        "created": to_micros(session.created_at),
        "rotated": to_micros(session.rotated_at),
        "expires": to_micros(session.expires_at),
        "revoked": None if session.revoked_at is None else to_micros(session.revoked_at),
        "scope": session.scope,
    }
    return [part for name, value in fields.items() if value is not None for part in (name, value)]


def _session(sid: str, found: dict[str, str]) -> RefreshSession:
    return RefreshSession(
        sid=sid,
        subject=found["subject"],
        digest=found["digest"],
        previous_digest=found.get("previous"),
        created_at=from_micros(int(found["created"])),
        rotated_at=from_micros(int(found["rotated"])),
        expires_at=from_micros(int(found["expires"])),
        revoked_at=_moment(found.get("revoked")),
        scope=found.get("scope"),
    )


def _cut_off(found: list[str | bytes | None]) -> CutOff | None:
    at, keep, floor = found
    if at is None:
        return None
    return CutOff(at=from_micros(int(at)), keep_sid=_text(keep or "") or None, floor=_moment(floor))


def _moment(micros: str | bytes | None) -> datetime | None:
    return None if micros is None else from_micros(int(micros))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
