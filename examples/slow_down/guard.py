"""Counts attempts to log in: by name and address, by address, by account. Pass it to `make_auth_router(guard=...)`."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Literal

from limits import RateLimitItem, parse
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

log = logging.getLogger("examples.slow_down")


class LoginGuard:
    """Tells how long an attempt has to wait.

    Args:
        store: Where the counters are: `MemoryStorage` for one process, `RedisStorage` for several. Made with
            `wrap_exceptions=True`.
        when_store_is_down: Whether nobody can log in then ("refuse"), or everybody uncounted ("allow").
        sleep: Waits; tests pass their own.
    """

    of_pair: RateLimitItem = parse("10 per 15 minutes")
    of_address: RateLimitItem = parse("100 per hour")
    of_account: RateLimitItem = parse("50 per hour")
    delay_s = 3.0

    def __init__(
        self,
        store: Storage,
        *,
        when_store_is_down: Literal["refuse", "allow"],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._limiter = MovingWindowRateLimiter(store)
        self._when_store_is_down = when_store_is_down
        self._sleep = sleep

    async def __call__(self, username: str, address: str | None) -> timedelta | None:
        """Count an attempt; None lets it pass."""
        account, place = username.strip().casefold(), place_of(address)
        try:
            for limit, key in ((self.of_pair, (account, place)), (self.of_address, (place,))):
                if not await self._limiter.hit(limit, "login", *key):
                    window = await self._limiter.get_window_stats(limit, "login", *key)
                    return timedelta(seconds=max(window.reset_time - time.time(), 1))
            # A delay and no refusal: otherwise anybody could lock anybody out.
            if not await self._limiter.hit(self.of_account, "login account", account):
                await self._sleep(self.delay_s)
        except StorageError as error:
            log.error("attempts to log in are not counted: %s", type(error.storage_error).__name__)
            return timedelta(seconds=30) if self._when_store_is_down == "refuse" else None
        return None


def place_of(address: str | None) -> str:
    """Name what one attacker holds: an IPv4 address, or a /64 of IPv6, in which they choose freely."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return "unknown"
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
