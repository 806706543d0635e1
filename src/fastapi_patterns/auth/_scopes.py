"""Which scopes a caller has: what both the token and the user have."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fastapi_patterns.auth._authenticate import Credential

__all__ = ["ScopeRules"]


class ScopeRules(NamedTuple):
    """How scopes are compared.

    Attributes:
        user_scopes: Gives the scopes of a user; without it the token's alone count.
        wildcards: Whether `items:*` covers `items:read`.
    """

    user_scopes: Callable[[Any], Iterable[str]] | None
    wildcards: bool

    def missing(self, credential: Credential, user: Any, wanted: Iterable[str]) -> list[str]:
        """Give those of the wanted scopes that the caller lacks."""
        # A key or a password has no scopes of its own: its user's count.
        of_token = None if credential.claims is None else credential.claims.scopes
        of_user = None if self.user_scopes is None else _as_set(self.user_scopes(user))
        granted = [scopes for scopes in (of_token, of_user) if scopes is not None]
        return [scope for scope in wanted if not granted or not all(self._covered(scope, each) for each in granted)]

    def _covered(self, scope: str, granted: frozenset[str]) -> bool:
        if scope in granted:
            return True
        return self.wildcards and any(
            each == "*" or (each.endswith(":*") and scope.startswith(each[:-1])) for each in granted
        )


def _as_set(scopes: Iterable[str]) -> frozenset[str]:
    """Read scopes as a column may have them: a text is names between blanks, and not its letters."""
    return frozenset(scopes.split() if isinstance(scopes, str) else scopes)
