"""Tells who follows a request's session how it ended: the rooms `db`, which ends it, and `tasks`, which follows it."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio

__all__ = ["follow_session", "tell_followers"]

_log = logging.getLogger("fastapi_patterns.db")
_KEY = "fastapi_patterns.followers"
# Followers of a request that failed, or was cancelled, have this long.
_LIMIT_S = 10.0

Follower = Callable[[bool], Awaitable[None]]


def follow_session(info: MutableMapping[Any, Any], follower: Follower) -> None:
    """Have a function awaited when the request's session has ended, before its response.

    Args:
        info: The session's `info`.
        follower: Is told whether the request went well: its route returned, and the commit was none or succeeded.
    """
    info.setdefault(_KEY, []).append(follower)


async def tell_followers(info: MutableMapping[Any, Any], ok: bool) -> None:
    """Tell them that the session has ended. What they raise is raised where the request went well, otherwise logged."""
    for follower in info.pop(_KEY, ()):
        if ok:
            await follower(True)
            continue
        with anyio.move_on_after(_LIMIT_S, shield=True):  # the request may be cancelled
            try:
                await follower(False)
            except Exception as error:
                _log.error("What follows a commit failed: %s", type(error).__name__)
