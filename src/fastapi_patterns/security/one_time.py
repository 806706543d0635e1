"""`OneTimeTokens`: password reset, e-mail check, invitation. Pure: it keeps nothing, the application's row does.

A token is bound to what its use changes, so that using it makes it worthless.
"""

import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from fastapi_patterns._clock import utc_now
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import _compact
from fastapi_patterns.security._checks import check_clock
from fastapi_patterns.security._derive import derive_key
from fastapi_patterns.security._text import Secret, reveal
from fastapi_patterns.security.claims import Claims
from fastapi_patterns.security.errors import TokenClaimsError
from fastapi_patterns.security.keys import Key
from fastapi_patterns.security.token_config import TokenConfig
from fastapi_patterns.security.tokens import ACCESS, REFRESH, TokenCodec, type_of

__all__ = ["OneTimeTokens", "State"]

Scalar = str | bytes | int | None
# What the use of a token changes: one value of the user's row, or several.
State = Scalar | tuple[Scalar, ...]

_STATE_CLAIM = "state"


class OneTimeTokens:
    """Makes and checks tokens for one purpose, each of which works once.

    The state is what the use of the token changes: for a password reset the stored hash, for an e-mail check the
    address and the flag, for an invitation its row's status. Only a keyed digest of it is in the token. The use must
    change it *if it is still the same*, in one statement, so that of two uses at the same time one wins::

        UPDATE users SET password_hash = :new WHERE id = :id AND password_hash = :old

    Args:
        secret_key: The application's secret, or a function that gives it; a key of its own is derived for the purpose.
        purpose: A name, such as `"password-reset"`; tokens of other purposes, and access tokens, are refused.
        expires_delta: How long a token works: ASVS 5.0 6.5 asks for ten minutes for codes, and an hour at most for
            links is usual; days for invitations.
        now: The clock; tests inject their own.

    Raises:
        ConfigurationError: The secret is weak, the purpose no name, or the lifetime not positive.
    """

    def __init__(
        self,
        secret_key: str | bytes | Secret | Callable[[], str | bytes | Secret],
        *,
        purpose: str,
        expires_delta: timedelta,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        if purpose in (ACCESS, REFRESH):
            raise ConfigurationError(f"purpose must not be {purpose!r}, which is another kind of token")
        type_of(purpose, what="purpose")
        if now is not utc_now:
            check_clock(now)
        self.purpose = purpose
        self._secret_key = secret_key
        self._expires_delta = expires_delta
        self._now = now
        self._parsed = lru_cache(maxsize=4)(self._parse)
        if not callable(secret_key):
            self._parsed(reveal(secret_key))

    def issue(self, subject: str | int | UUID, *, state: State) -> str:
        """Make a token for somebody, usable as long as the state stays as it is.

        Args:
            subject: Whom it is for: the user's id.
            state: What the use changes.

        Raises:
            ValueError: The subject is empty, or the state is not of text, bytes, integers and None.
        """
        codec, key = self._current()
        return codec.encode({"sub": subject, _STATE_CLAIM: _digest(key, state)}, kind=self.purpose)

    def subject_of(self, token: str) -> str:
        """Give whom a token is for, to find the row with; `verify` must follow.

        Raises:
            TokenError: It is no token of this purpose, or has expired.
        """
        return self._current()[0].decode(token, kind=self.purpose).sub

    def verify(self, token: str, *, state: State) -> Claims:
        """Check a token against the row as it is now.

        Raises:
            TokenError: It is no token of this purpose, has expired, or was used: the state is another one.
        """
        codec, key = self._current()
        claims = codec.decode(token, kind=self.purpose)
        found = claims.get(_STATE_CLAIM)
        if not isinstance(found, str) or not hmac.compare_digest(found.encode(), _digest(key, state).encode()):
            raise TokenClaimsError(_STATE_CLAIM, "is not the row's: the token was used, or something else changed it")
        return claims

    def _current(self) -> tuple[TokenCodec, bytes]:
        return self._parsed(reveal(self._secret_key() if callable(self._secret_key) else self._secret_key))

    def _parse(self, secret_key: Any) -> tuple[TokenCodec, bytes]:
        secret = Key.from_secret(secret_key).secret
        config = TokenConfig(
            secret_key=derive_key(secret, f"one-time token {self.purpose}"), expires_delta=self._expires_delta
        )
        codec = TokenCodec(config, now=self._now)
        return codec, derive_key(secret, f"one-time state {self.purpose}")

    def __repr__(self) -> str:
        return f"OneTimeTokens(purpose={self.purpose!r}, expires_delta={self._expires_delta!r})"


def _digest(key: bytes, state: State) -> str:
    parts = state if isinstance(state, tuple) else (state,)
    if not all(part is None or isinstance(part, (str, bytes, int)) for part in parts):
        raise ValueError("state must be text, bytes, an integer or None, or a tuple of them")
    # Each part keeps its type and its end: ("ab", "c") is not ("a", "bc"), and 1 is not "1".
    written = [["bytes", part.hex()] if isinstance(part, bytes) else [type(part).__name__, part] for part in parts]
    return _compact.encode_part(hmac.digest(key, json.dumps(written).encode(), "sha256")).decode()
