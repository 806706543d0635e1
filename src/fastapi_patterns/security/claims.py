"""Claims: what a verified token says. Pure: the rules of RFC 7519 section 4.1 over a dict and a moment in time."""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi_patterns.security.errors import TokenClaimsError, TokenExpiredError

__all__ = ["Claims", "check_claims"]

# 9999-12-31T23:59:59Z, the last second that `datetime` can carry. A token may say more; it is valid for longer.
_LAST_SECOND = 253_402_300_799
# As `str` writes them: no blanks, signs, zeros in front, underscores or other scripts' digits. One user, one subject.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


class Claims(Mapping[str, Any]):
    """The claims of a verified token: an immutable mapping with the registered ones as attributes.

    `claims["role"]`, `claims.get("role")` and `dict(claims)` work as with the dict that other libraries return.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    @property
    def sub(self) -> str:
        """The subject, always a non-empty string (RFC 7519 section 4.1.2)."""
        return self._values["sub"]  # type: ignore[no-any-return]  # checked when decoded

    @property
    def int_sub(self) -> int:
        """The subject as the integer that `encode` wrote, within 64 bits, as databases hold it.

        Raises:
            TokenClaimsError: It is none. In the loader of `make_current_user` this is the 401 of a bad token, where
                `int(claims.sub)` would raise a ValueError, which is a 500.
        """
        if not _INTEGER.fullmatch(self.sub) or not -(2**63) <= int(self.sub) < 2**63:
            raise TokenClaimsError("sub", "is not an integer of 64 bits")
        return int(self.sub)

    @property
    def uuid_sub(self) -> UUID:
        """The subject as the UUID that `encode` wrote.

        Raises:
            TokenClaimsError: It is none; see `int_sub`.
        """
        if not _UUID.fullmatch(self.sub):
            raise TokenClaimsError("sub", "is not a UUID")
        return UUID(self.sub)

    @property
    def expires_at(self) -> datetime:
        """When the token ends, in UTC (`exp`, RFC 7519 section 4.1.4)."""
        return _datetime(self._values["exp"])

    @property
    def issued_at(self) -> datetime | None:
        """When the token was made, in UTC, or None (`iat`, RFC 7519 section 4.1.6)."""
        iat = self._values.get("iat")
        return None if iat is None else _datetime(iat)

    @property
    def jti(self) -> str | None:
        """The token's own id, or None (RFC 7519 section 4.1.7)."""
        return self._values.get("jti")

    @property
    def scopes(self) -> frozenset[str]:
        """The granted scopes: `scope` as a blank-separated string (RFC 8693 section 4.2) or `scopes` as a list."""
        found = self._values.get("scope", self._values.get("scopes", ()))
        if isinstance(found, str):
            found = found.split()
        return frozenset(scope for scope in found if isinstance(scope, str)) if isinstance(found, list) else frozenset()

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        """Names without values: claims may hold personal data, and a repr ends in logs."""
        return f"<Claims {', '.join(self._values)}>"


def check_claims(
    values: Mapping[str, Any], *, now: float, leeway: float, issuer: str | None, audience: str | None
) -> None:
    """Refuse claims that are not valid at this moment and for this party.

    Args:
        values: The decoded payload.
        now: Seconds since 1970.
        leeway: Seconds of clock difference that are forgiven.
        issuer: The one accepted `iss`; None accepts any or none.
        audience: The one that `aud` must name; None refuses a token meant for somebody (RFC 7519 section 4.1.3).

    Raises:
        TokenExpiredError: `exp` has passed; the last good moment is just before it.
        TokenClaimsError: Another rule is broken.
    """
    expires = _moment(values, "exp")
    if expires is None:
        raise TokenClaimsError("exp", "is missing")
    not_before, issued = _moment(values, "nbf"), _moment(values, "iat")
    # The leeway is added to the clock: a claim may be an int too large for arithmetic with a float.
    if now - leeway >= expires:
        raise TokenExpiredError("the token has expired")
    if not_before is not None and now + leeway < not_before:
        raise TokenClaimsError("nbf", "lies in the future")
    if issued is not None and now + leeway < issued:
        raise TokenClaimsError("iat", "lies in the future")
    if issuer is not None and values.get("iss") != issuer:
        raise TokenClaimsError("iss", "is not the configured issuer")
    if "iss" in values and not isinstance(values["iss"], str):
        raise TokenClaimsError("iss", "is not a string")
    _check_audience(values, audience)
    _check_text(values, "sub", required=True)
    _check_text(values, "jti", required=False)


def _datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0), _LAST_SECOND), UTC)


def _moment(values: Mapping[str, Any], name: str) -> float | None:
    if name not in values:
        return None
    value = values[name]
    # bool is an int in Python; a JSON `true` is no NumericDate (RFC 7519 section 2).
    if type(value) is not int and not (type(value) is float and math.isfinite(value)):
        raise TokenClaimsError(name, "is not a finite number")
    return value


def _check_audience(values: Mapping[str, Any], audience: str | None) -> None:
    found = values.get("aud")
    named = [found] if isinstance(found, str) else found
    if "aud" in values and not (isinstance(named, list) and all(isinstance(name, str) for name in named)):
        raise TokenClaimsError("aud", "is neither a string nor a list of strings")
    if audience is None:
        if named:
            raise TokenClaimsError("aud", "names an audience and none is configured")
    elif audience not in (named or ()):
        raise TokenClaimsError("aud", "does not name the configured audience")


def _check_text(values: Mapping[str, Any], name: str, *, required: bool) -> None:
    if name not in values:
        if required:
            raise TokenClaimsError(name, "is missing")
        return
    value = values[name]
    if not isinstance(value, str) or not value:
        raise TokenClaimsError(name, "is not a non-empty string")
    # JSON can spell a lone surrogate and NUL; databases and logs cannot take them.
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise TokenClaimsError(name, "holds NUL or a lone surrogate")
