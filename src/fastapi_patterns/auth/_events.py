"""Authentication events for the log: one logger, fixed fields, never a credential (ASVS 5.0 16.3.1)."""

import logging
from typing import Literal

__all__ = ["Event", "log_event"]


Event = Literal["auth.success", "auth.failure", "auth.denied", "auth.refresh_reuse", "auth.revocation"]

_log = logging.getLogger("fastapi_patterns.auth")
_LEVELS = {"auth.refresh_reuse": logging.WARNING}


def log_event(event: Event, *, reason: str | None = None, user_id: str | None = None, sid: str | None = None) -> None:
    """Log an event.

    The record has `event`, `reason`, `user_id` and `sid` as attributes, which JSON formatters write as fields.

    Args:
        event: `auth.success` is a login or an exchange of a refresh token; `auth.failure` a refused credential;
            `auth.denied` a user who may not do this; `auth.refresh_reuse` a refresh token used twice;
            `auth.revocation` the end of sessions or tokens.
        reason: Why, in words that hold no credential.
        user_id: Whose.
        sid: Of which session.
    """
    fields = {"event": event, "reason": reason, "user_id": user_id, "sid": sid}
    said = "".join(f" {name}={value!r}" for name, value in fields.items() if name != "event" and value is not None)
    _log.log(_LEVELS.get(event, logging.INFO), "%s%s", event, said, extra=fields)
