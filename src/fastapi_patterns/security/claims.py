"""Claims: what a verified token says. Pure: the rules of RFC 7519 section 4.1 over a dict and a moment in time."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from fastapi_patterns.security.errors import TokenClaimsError, TokenExpiredError

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["ClaimRules", "Claims", "ExpiredClaims", "check_written"]

ModelT = TypeVar("ModelT", bound="BaseModel")

# 9999-12-31T23:59:59Z, the last second that `datetime` can carry. A token may say more; it is valid for longer.
_LAST_SECOND = 253_402_300_799
# As `str` writes them: no blanks, signs, zeros in front, underscores or other scripts' digits. One user, one subject.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


class _ClaimsView(Mapping[str, Any]):
    """What `Claims` and `ExpiredClaims` have in common; neither can be taken for the other."""

    __slots__ = ("_subject_claims", "_values")

    def __init__(self, values: Mapping[str, Any], subject_claims: Sequence[str] = ("sub",)) -> None:
        self._values = values
        self._subject_claims = subject_claims

    @property
    def sub(self) -> str:
        """The subject as text (RFC 7519 section 4.1.2), from the first of the `subject_claims` that is there."""
        values = self._values
        for name in self._subject_claims:
            if name in values:
                return str(values[name])
        raise KeyError(self._subject_claims[0])

    @property
    def int_sub(self) -> int:
        """The subject as the integer that `encode` wrote, within 64 bits, as databases hold it.

        Raises:
            TokenClaimsError: It is none. In the loader of `make_current_user` this is the 401 of a bad token, where
                `int(claims.sub)` would raise a ValueError, which is a 500.
        """
        text = self.sub
        if not _INTEGER.fullmatch(text) or not -(2**63) <= (number := int(text)) < 2**63:
            raise TokenClaimsError("sub", "is not an integer of 64 bits")
        return number

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
        return f"<{type(self).__name__} {', '.join(self._values)}>"


class Claims(_ClaimsView):
    """The claims of a verified token: an immutable mapping with the registered ones as attributes.

    `claims["role"]`, `claims.get("role")` and `dict(claims)` work as with the dict that other libraries return.
    """

    __slots__ = ()

    def into(self, model: type[ModelT]) -> ModelT:
        """Read the claims into a pydantic model of the application's own.

        Raises:
            TokenClaimsError: They do not fit, which makes it a bad token; the message holds no value.

        What a validator of the model raises besides ValueError and AssertionError, a KeyError for example, leaves here
        as it is, as it leaves pydantic: it is a mistake of the validator, and would look like a bad token otherwise.
        """
        from pydantic import ValidationError

        try:
            return model.model_validate(dict(self._values))
        except ValidationError as error:
            # Not chained: it quotes values.
            found = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = found["loc"]
            name = str(place[0]) if place else "claims"
            missing = found["type"] == "missing" and len(place) == 1
        raise TokenClaimsError(
            name, "is missing: the application's model needs it" if missing else "does not fit the application's model"
        )


class ExpiredClaims(_ClaimsView):
    """What `TokenCodec.decode_expired` returns: verified in all but its time, so it must never log anybody in.

    It is no `Claims`: a type checker and `make_current_user` refuse it where claims are asked for.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """What the claims of a token must say (RFC 7519 section 4.1).

    Args:
        leeway_s: Seconds of clock difference that are forgiven.
        audiences: One of them must be in `aud`; none refuses a token that is meant for somebody.
        subject_claims: Where the subject stands; the first that is there counts.
        required: Claims that must be there besides `exp` and the subject.
        integer_subject: Let `sub` be an integer, as older software wrote it.
    """

    leeway_s: float = 0
    audiences: frozenset[str] = frozenset()
    subject_claims: tuple[str, ...] = ("sub",)
    required: tuple[str, ...] = ()
    integer_subject: bool = False

    def check(self, values: Mapping[str, Any], *, now: float, issuer: str | None, grace_s: float = 0) -> None:
        """Refuse claims that are not valid at this moment and for this party.

        Args:
            values: The decoded payload.
            now: Seconds since 1970.
            issuer: The one accepted `iss`; None accepts any or none.
            grace_s: How long ago the token may have expired.

        Raises:
            TokenExpiredError: `exp` has passed; the last good moment is just before it.
            TokenClaimsError: Another rule is broken.
        """
        latest = now + self.leeway_s
        expires = values.get("exp")
        if type(expires) is not int:
            expires = _moment(values, "exp")
        if "nbf" in values and latest < _moment(values, "nbf"):
            raise TokenClaimsError("nbf", "lies in the future")
        if "iat" in values and latest < _moment(values, "iat"):
            raise TokenClaimsError("iat", "lies in the future")
        found = values.get("iss")
        if issuer is not None and found != issuer:
            raise TokenClaimsError("iss", "is not the configured issuer")
        if type(found) is not str and "iss" in values:
            raise TokenClaimsError("iss", "is not a string")
        self._check_audience(values)
        self._check_subject(values)
        if "jti" in values:
            _check_text(values, "jti")
        for name in self.required:
            if values.get(name) in (None, ""):
                raise TokenClaimsError(name, "is missing")
        # Last, so that an expired token is one that is good in all else. The leeway is added to the clock: a claim may
        # be an int too large for arithmetic with a float.
        if expires <= now - self.leeway_s - grace_s:
            raise TokenExpiredError("the token has expired")

    def _check_audience(self, values: Mapping[str, Any]) -> None:
        found = values.get("aud")
        if type(found) is str and found in self.audiences:
            return
        named = [found] if isinstance(found, str) else found
        if "aud" in values and not (isinstance(named, list) and all(isinstance(name, str) for name in named)):
            raise TokenClaimsError("aud", "is neither a string nor a list of strings")
        if not self.audiences:
            if named:
                raise TokenClaimsError("aud", "names an audience and none is configured")
        elif self.audiences.isdisjoint(named or ()):
            raise TokenClaimsError("aud", "does not name the configured audience")

    def _check_subject(self, values: Mapping[str, Any]) -> None:
        for name in self.subject_claims:
            if name in values:
                # RFC 7519 section 4.1.2 wants text; a claim of the application's own may be its integer id.
                if type(values[name]) is not int or (name == "sub" and not self.integer_subject):
                    _check_text(values, name)
                return
        raise TokenClaimsError(self.subject_claims[0], "is missing")


def check_written(values: Mapping[str, Any], subject_claims: Sequence[str]) -> None:
    """Refuse claims that `ClaimRules.check` would refuse at any time, before a token is made of them.

    Raises:
        ValueError: The subject or `jti` is no readable text, or `nbf` no number.
    """
    subject = next(name for name in subject_claims if name in values)
    try:
        if type(values[subject]) is str:
            _check_text(values, subject)
        _check_text(values, "jti")
        if "nbf" in values:
            _moment(values, "nbf")
    except TokenClaimsError as error:
        raise ValueError(f"decode would refuse the token: {error}") from None


def _datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0), _LAST_SECOND), UTC)


def _check_text(values: Mapping[str, Any], name: str) -> None:
    value = values[name]
    if type(value) is not str or not value:
        raise TokenClaimsError(name, "is not a non-empty string")
    if "\0" in value:  # which JSON can spell, and databases cannot take
        raise TokenClaimsError(name, "holds NUL")


def _moment(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name)
    # bool is an int in Python; a JSON `true` is no NumericDate (RFC 7519 section 2).
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value
    raise TokenClaimsError(name, "is not a finite number" if name in values else "is missing")
