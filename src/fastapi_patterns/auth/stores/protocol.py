"""What a store of sessions and revoked tokens does. Every rule is elsewhere: a store keeps, compares and swaps."""

from datetime import datetime
from typing import Protocol

from fastapi_patterns.security.refresh import RefreshSession

__all__ = ["TokenStore"]


class TokenStore(Protocol):
    """Keeps refresh sessions and what was revoked; shared by all processes.

    Each call is a transaction of its own, committed when it returns: a request that is refused afterwards must not
    take a revocation back. What a store raises when it cannot be reached is an error of the server, never a "no".
    All times have a time zone.
    """

    async def add_session(self, session: RefreshSession) -> None:
        """Keep a new session."""

    async def get_session(self, sid: str) -> RefreshSession | None:
        """Give a session, also one that has ended, as long as it is kept; None for one that is not."""

    async def swap_session(self, old: RefreshSession, new: RefreshSession) -> bool:
        """Put `new` in the place of `old`, if what is kept still has `old.digest` and is not revoked, in one step.

        Returns:
            Whether it did: of several that try at the same time, one.
        """

    async def revoke_session(self, sid: str, *, at: datetime) -> None:
        """End a session, also while it is being swapped; one that has ended or is not kept is left alone."""

    async def revoke_subject(self, subject: str, *, at: datetime, keep_sid: str | None = None) -> None:
        """End all sessions of somebody and all access tokens issued until then, except those of one session."""

    async def revoke_token(self, jti: str, *, expires_at: datetime) -> None:
        """Refuse an access token by its id, until it would have ended anyway."""

    async def is_revoked(self, *, jti: str | None, sid: str | None, subject: str, issued_at: datetime | None) -> bool:
        """Tell whether an access token was revoked: by its id, with its session, or with all of its subject's.

        Args:
            jti: The token's id.
            sid: The session that it belongs to; one that is not kept any more counts as ended.
            subject: Whose it is.
            issued_at: When it was made; None counts as old.
        """

    async def delete_expired(self, *, now: datetime) -> int:
        """Forget what has ended: sessions, revoked tokens, and revocations of subjects that nothing can outlive.

        Returns:
            How many entries were deleted.
        """
