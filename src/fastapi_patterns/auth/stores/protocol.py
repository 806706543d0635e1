"""What a store of sessions and revoked tokens does. Every rule is elsewhere: a store keeps, compares and swaps."""

from datetime import datetime
from typing import Protocol

from fastapi_patterns.security.refresh import RefreshSession

__all__ = ["TokenStore"]


class TokenStore(Protocol):
    """Keeps refresh sessions and what was revoked; shared by all processes.

    Each call is a transaction of its own, committed when it returns: a request that is refused afterwards must not
    take a revocation back. What a store raises when it cannot be reached is an error of the server, never a "no".
    All times have a time zone; the clocks of all processes agree to within a second or so.
    """

    async def add_session(self, session: RefreshSession) -> None:
        """Keep a new session."""
        ...

    async def get_session(self, sid: str) -> RefreshSession | None:
        """Give a session, also one that has ended, as long as it is kept; None for one that is not.

        One that ended with all of its subject's has `revoked_at` set, also when it was added after that.
        """
        ...

    async def swap_session(self, old: RefreshSession, new: RefreshSession) -> bool:
        """Put `new` in the place of `old`, if what is kept still has `old.digest` and is not revoked, in one step.

        Returns:
            Whether it did: of several that try at the same time, one.
        """
        ...

    async def revoke_session(self, sid: str, *, at: datetime) -> None:
        """End a session, also while it is being swapped; one that has ended or is not kept is left alone."""
        ...

    async def revoke_subject(
        self, subject: str, *, at: datetime, expires_at: datetime, keep_sid: str | None = None
    ) -> None:
        """End all sessions that somebody began until a moment and all access tokens issued until then, but one's.

        Args:
            subject: Whose.
            at: The moment.
            expires_at: When nothing that it ends can be alive any more, so that it may be forgotten.
            keep_sid: The session that goes on, with its access tokens. One that has ended before stays ended.
        """
        ...

    async def revoke_token(self, jti: str, *, expires_at: datetime) -> None:
        """Refuse an access token by its id, until it would have ended anyway."""
        ...

    async def is_revoked(self, *, jti: str | None, sid: str | None, subject: str, issued_at: datetime | None) -> bool:
        """Tell whether an access token was revoked: by its id, with its session, or with all of its subject's.

        Args:
            jti: The token's id.
            sid: The session that it belongs to. It decides instead of `issued_at`, whose whole seconds could not tell
                a login after a revocation from one before it. A session that is not kept any more counts as ended.
            subject: Whose it is.
            issued_at: When it was made, for a token without a session; None counts as old, the same moment too.
        """
        ...

    async def delete_expired(self, *, now: datetime) -> int:
        """Forget what has ended: sessions, revoked tokens, and revocations of subjects that nothing can outlive.

        Returns:
            How many entries were deleted.
        """
        ...
