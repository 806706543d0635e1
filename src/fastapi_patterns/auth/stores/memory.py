"""`InMemoryTokenStore`: for tests, and for an application that is one process and may forget its sessions."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from fastapi_patterns._clock import utc_now
from fastapi_patterns.auth.stores._kept import CutOff, as_seen, is_revoked
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security.refresh import RefreshSession

__all__ = ["InMemoryTokenStore"]

# Revocations are looked through for ended ones when there are twice as many as were left the last time.
_FIRST_LOOK = 1024


class InMemoryTokenStore:
    """For one process and for tests: another process, also another worker of the same server, knows nothing of it.

    When it restarts, every session has ended: its users log in again.

    It may be used from several threads and event loops at once, and does not grow without an end. When there are
    `max_sessions` sessions, those that have ended make room first; then the one that was not used for the longest time
    goes, and its user logs in again. A revoked token is never dropped before it would have ended: it would work again.

    Args:
        max_sessions: How many sessions are kept.
        now: The clock; tests inject their own.

    Raises:
        ConfigurationError: `max_sessions` is not positive.
    """

    def __init__(self, *, max_sessions: int = 10_000, now: Callable[[], datetime] = utc_now) -> None:
        if max_sessions < 1:
            raise ConfigurationError(f"max_sessions must be at least 1; got {max_sessions}")
        self._max_sessions = max_sessions
        self._now = now
        # Never held across an await.
        self._lock = threading.Lock()
        # In the order of their last use.
        self._sessions: dict[str, RefreshSession] = {}
        self._tokens: dict[str, datetime] = {}
        self._cut_offs: dict[str, tuple[CutOff, datetime]] = {}
        self._next_look = _FIRST_LOOK

    async def add_session(self, session: RefreshSession) -> None:
        """Keep a new session."""
        with self._lock:
            if len(self._sessions) >= self._max_sessions:
                self._forget_sessions(self._now(), revoked=True)
            if len(self._sessions) >= self._max_sessions:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[session.sid] = session

    async def get_session(self, sid: str) -> RefreshSession | None:
        """Give a session, also one that has ended, as long as it is kept."""
        with self._lock:
            session = self._sessions.get(sid)
            return session and self._as_seen(session)

    async def swap_session(self, old: RefreshSession, new: RefreshSession) -> bool:
        """Put `new` in the place of `old`, if it is still there and not revoked."""
        with self._lock:
            kept = self._sessions.get(old.sid)
            if kept is None or kept.digest != old.digest or kept.revoked_at is not None:
                return False
            del self._sessions[old.sid]  # to the end: the last one used
            self._sessions[old.sid] = new
            return True

    async def revoke_session(self, sid: str, *, at: datetime) -> None:
        """End a session."""
        with self._lock:
            session = self._sessions.get(sid)
            if session is not None and session.revoked_at is None:
                self._sessions[sid] = replace(session, revoked_at=at)

    async def revoke_subject(
        self, subject: str, *, at: datetime, expires_at: datetime, keep_sid: str | None = None
    ) -> None:
        """End all of somebody's sessions and access tokens, except those of one session."""
        with self._lock:
            self._look_through()
            cut_off, until = CutOff(at=at, keep_sid=keep_sid), expires_at
            if subject in self._cut_offs:
                before, until = self._cut_offs[subject]
                cut_off = before.then(at, keep_sid)
            self._cut_offs[subject] = cut_off, max(until, expires_at)

    async def revoke_token(self, jti: str, *, expires_at: datetime) -> None:
        """Refuse an access token by its id, until it would have ended anyway."""
        with self._lock:
            self._look_through()
            self._tokens[jti] = expires_at

    async def is_revoked(self, *, jti: str | None, sid: str | None, subject: str, issued_at: datetime | None) -> bool:
        """Tell whether an access token was revoked."""
        with self._lock:
            session = None if sid is None else self._sessions.get(sid)
            return is_revoked(
                token_revoked=jti in self._tokens,
                sid=sid,
                begun=session.created_at if session is not None and session.revoked_at is None else None,
                cut_off=self._cut_off(subject),
                issued_at=issued_at,
            )

    async def delete_expired(self, *, now: datetime) -> int:
        """Forget what has ended."""
        with self._lock:
            before = len(self._sessions) + len(self._tokens) + len(self._cut_offs)
            self._forget_sessions(now, revoked=False)
            self._forget_revocations(now)
            return before - len(self._sessions) - len(self._tokens) - len(self._cut_offs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._sessions)} sessions>"

    def _cut_off(self, subject: str) -> CutOff | None:
        found = self._cut_offs.get(subject)
        return found and found[0]

    def _as_seen(self, session: RefreshSession) -> RefreshSession:
        return as_seen(session, self._cut_off(session.subject))

    def _forget_sessions(self, now: datetime, *, revoked: bool) -> None:
        self._sessions = {
            sid: session
            for sid, session in self._sessions.items()
            if session.expires_at > now and not (revoked and self._as_seen(session).revoked_at is not None)
        }

    def _forget_revocations(self, now: datetime) -> None:
        self._tokens = {jti: until for jti, until in self._tokens.items() if until > now}
        self._cut_offs = {subject: kept for subject, kept in self._cut_offs.items() if kept[1] > now}

    def _look_through(self) -> None:
        if len(self._tokens) + len(self._cut_offs) >= self._next_look:
            self._forget_revocations(self._now())
            self._next_look = max(_FIRST_LOOK, 2 * (len(self._tokens) + len(self._cut_offs)))
