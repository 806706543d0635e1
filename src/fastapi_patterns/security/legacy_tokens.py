"""`InsecureLegacyTokens`: tokens of an application's old code stay good until a date, so that nobody is logged out.

Each rule that they break is named by the application; all others hold. It only verifies.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import _compact
from fastapi_patterns.security._checks import is_async
from fastapi_patterns.security._text import Secret
from fastapi_patterns.security.claims import ClaimRules
from fastapi_patterns.security.errors import TokenMalformedError
from fastapi_patterns.security.key_sets import KeySet
from fastapi_patterns.security.keys import Key

__all__ = ["InsecureLegacyTokens", "LegacyReader"]

_log = logging.getLogger("fastapi_patterns.security")


@dataclass(frozen=True, slots=True, kw_only=True)
class InsecureLegacyTokens:
    """What to accept of older tokens: `TokenCodec(config, also_accept=InsecureLegacyTokens(...))`.

    Only HMAC tokens without `kid` and with the type `JWT` or none are taken for old ones. Size, form, algorithm,
    signature and times are checked as ever.

    Args:
        secret: What the old code signed with.
        accept_until: When the last of them must have ended; with a time zone. When it has passed, none is accepted, and
            the log says at the start that the description can go.
        is_access: Tells from the claims whether it is an access token: old refresh and reset tokens, signed with the
            same secret, must not become one. `lambda claims: claims.get("type") == "access"`, or
            `lambda claims: True` when there never was another kind.
        algorithm: What the old code signed with.
        short_secret: The secret is shorter than RFC 7518 asks for, or weak.
        int_subject: `sub` may be an integer.
        missing_claims: Of `iss` and `aud`, those that the old tokens lack. One that is there is checked.
        missing_exp: They may have no `exp`; they end at `accept_until`.
        subject_claims: Where their subject stands.

    Raises:
        ConfigurationError: A value is missing or wrong.
    """

    secret: str | bytes | Secret = field(repr=False)
    accept_until: datetime
    is_access: Callable[[Mapping[str, Any]], bool]
    algorithm: str = "HS256"
    short_secret: bool = False
    int_subject: bool = False
    missing_claims: Sequence[str] = ()
    missing_exp: bool = False
    subject_claims: Sequence[str] = ("sub",)

    def __post_init__(self) -> None:
        if not isinstance(self.accept_until, datetime) or self.accept_until.tzinfo is None:
            raise ConfigurationError("accept_until must be a datetime with a time zone: datetime(..., tzinfo=UTC)")
        if not callable(self.is_access) or is_async(self.is_access):
            raise ConfigurationError(
                "is_access must be a function of the claims that gives True for access tokens, and no async one"
            )
        if isinstance(self.missing_claims, str) or not set(self.missing_claims) <= {"iss", "aud"}:
            raise ConfigurationError('missing_claims must be of ("iss", "aud")')
        if isinstance(self.subject_claims, str) or not self.subject_claims:
            raise ConfigurationError('subject_claims must be a sequence of names, such as ("user_id",)')
        self.key()

    def key(self) -> Key:
        """Make the key of the old tokens."""
        weak = Key.from_insecure_secret(self.secret, self.algorithm)
        if self.short_secret:
            return weak
        try:
            return Key.from_secret(self.secret, algorithm=self.algorithm)
        except ConfigurationError as error:
            # The rest of the message tells how to make a new secret, and this one is given.
            problem = str(error).partition(". Make one")[0]
        raise ConfigurationError(
            f"{problem}. If that is what your old code signed with, say short_secret=True, until accept_until"
        )

    def relaxed(self) -> list[str]:
        """Name the rules that are relaxed, for the log."""
        named = [name for name in ("short_secret", "int_subject", "missing_exp") if getattr(self, name)]
        return [*named, *(f"missing {claim}" for claim in self.missing_claims)]


class LegacyReader:
    """Reads old tokens as their description says."""

    def __init__(self, accepted: object, rules: ClaimRules, max_bytes: int) -> None:
        if not isinstance(accepted, InsecureLegacyTokens):
            raise ConfigurationError(f"also_accept takes one InsecureLegacyTokens(...); got {type(accepted).__name__}")
        self._accepted = accepted
        self._keys = KeySet([accepted.key()])
        self._rules = rules
        self.subject_claims = tuple(accepted.subject_claims)
        self._max_bytes = max_bytes
        self._until = accepted.accept_until.timestamp()

    def announce(self, now: float) -> None:
        """Warn of what is relaxed, or that it is over."""
        until = self._accepted.accept_until.isoformat()
        if now >= self._until:
            _log.warning("tokens of older code were accepted until %s, which has passed: delete also_accept", until)
            return
        relaxed = ", ".join(self._accepted.relaxed()) or "nothing but the type"
        _log.warning("tokens of older code are accepted until %s; relaxed: %s", until, relaxed)

    def takes(self, token: object, now: float) -> bool:
        """Tell from its header whether a token is to be read here.

        Raises:
            TokenMalformedError: It is no token.
        """
        if now >= self._until:
            return False
        header = _compact.parse_object(_compact.decode_part(_compact.split(token, self._max_bytes)[0]))
        if header.get("alg") != self._accepted.algorithm:
            return False  # of another issuer whose tokens have no kid, or good for nobody
        typ = header.get("typ")
        return "kid" not in header and ("typ" not in header or (isinstance(typ, str) and typ.lower() == "jwt"))

    def read(self, token: object, *, now: float, issuer: str | None, grace_s: float = 0) -> dict[str, Any]:
        """Verify an old token and give its claims.

        Raises:
            TokenError: It is refused.
        """
        accepted = self._accepted
        values = _compact.parse_object(self._keys.open(token, self._max_bytes)[1])
        if accepted.missing_exp and "exp" not in values:
            values["exp"] = self._until
        lacks_issuer = "iss" in accepted.missing_claims and "iss" not in values
        lacks_audience = "aud" in accepted.missing_claims and "aud" not in values
        rules = ClaimRules(
            leeway_s=self._rules.leeway_s,
            audiences=frozenset() if lacks_audience else self._rules.audiences,
            subject_claims=self.subject_claims,
            integer_subject=accepted.int_subject,
        )
        rules.check(values, now=now, issuer=None if lacks_issuer else issuer, grace_s=grace_s)
        if not _is_access(accepted, values):
            raise TokenMalformedError(
                "the token is of another type than access tokens are: is_access did not give True"
            )
        return values


def _is_access(accepted: InsecureLegacyTokens, values: Mapping[str, Any]) -> bool:
    try:
        return accepted.is_access(values) is True
    except (LookupError, TypeError, AttributeError):  # `claims["type"]` of a token that has none
        return False
