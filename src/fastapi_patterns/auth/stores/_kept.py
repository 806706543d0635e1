"""What all stores share: moments as whole microseconds, and what the end of all of somebody's sessions means. Pure."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from fastapi_patterns.security.refresh import RefreshSession

__all__ = ["CutOff", "as_seen", "from_micros", "is_revoked", "to_micros"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Write a moment as microseconds since 1970: exact, ordered, and with no time zone that a database could lose."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Read it again, in UTC."""
    return _EPOCH + micros * _MICROSECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff:
    """All of somebody's sessions were ended, but one.

    A session is judged by its beginning, which no exchange changes: one that is being swapped at the same time, or
    is added a moment later, has ended just the same.

    Attributes:
        at: When.
        keep_sid: The session that goes on.
        floor: Sessions that began until then have ended, `keep_sid` too: what an earlier cut-off ended stays ended.
    """

    at: datetime
    keep_sid: str | None = None
    floor: datetime | None = None

    def ends(self, sid: str, created_at: datetime) -> bool:
        """Tell whether a session has ended with it."""
        if self.floor is not None and created_at <= self.floor:
            return True
        return created_at <= self.at and sid != self.keep_sid

    def then(self, at: datetime, keep_sid: str | None) -> "CutOff":
        """Give what holds after another one, also when the clock was set back between them."""
        floor = self.floor if keep_sid == self.keep_sid else self.at
        return CutOff(at=max(at, self.at), keep_sid=keep_sid, floor=floor)


def as_seen(session: RefreshSession, cut_off: CutOff | None) -> RefreshSession:
    """Give a session as it counts: ended, when it ended with all of its subject's."""
    if session.revoked_at is None and cut_off is not None and cut_off.ends(session.sid, session.created_at):
        return replace(session, revoked_at=cut_off.at)
    return session


def is_revoked(
    *, token_revoked: bool, sid: str | None, begun: datetime | None, cut_off: CutOff | None, issued_at: datetime | None
) -> bool:
    """Decide about an access token.

    Args:
        token_revoked: Whether its id is among the revoked ones.
        sid: The session that it names.
        begun: When that session began; None when it is not kept or was ended.
        cut_off: The end of all of its subject's sessions, if there was one.
        issued_at: When it was made.
    """
    if token_revoked:
        return True
    if sid is not None:
        return begun is None or (cut_off is not None and cut_off.ends(sid, begun))
    return cut_off is not None and (issued_at is None or issued_at <= cut_off.at)
