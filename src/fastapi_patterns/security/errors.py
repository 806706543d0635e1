"""Why a token or a password was refused.

The tree::

    PatternsError
    ├── TokenError                 every refused token; catch this one
    │   ├── TokenMalformedError    not a compact JWT as RFC 7515 and 8725 want it
    │   ├── TokenSignatureError    algorithm or signature does not match the key
    │   ├── TokenExpiredError      `exp` has passed
    │   ├── TokenClaimsError       another claim is missing or wrong; `.claim` names it
    │   └── RefreshReuseError      a refresh token was used twice (in `refresh`)
    └── PasswordError              a password that cannot be hashed, or that the policy refuses

The text of a `TokenError` is for logs: it says what is wrong and never holds the token or a claim's value.
A client gets one text for all of them.
"""

from fastapi_patterns.exceptions import PatternsError

__all__ = [
    "PasswordError",
    "TokenClaimsError",
    "TokenError",
    "TokenExpiredError",
    "TokenMalformedError",
    "TokenSignatureError",
]


class TokenError(PatternsError):
    """A token was refused; the subclasses say why."""


class TokenMalformedError(TokenError):
    """The text is not a well-formed compact JWT, or its header asks for something that is not supported."""


class TokenSignatureError(TokenError):
    """The algorithm is not the key's, or the signature does not verify."""


class TokenExpiredError(TokenError):
    """The token was good until its `exp`, which has passed."""


class TokenClaimsError(TokenError):
    """A claim is missing, of the wrong type or not the expected one.

    Args:
        claim: The claim's name, such as `"aud"`.
        problem: What is wrong with it, without its value.
    """

    def __init__(self, claim: str, problem: str) -> None:
        self.claim = claim
        super().__init__(f"claim {claim!r} {problem}")


class PasswordError(PatternsError):
    """A password is refused: it cannot be hashed as it is, or the policy does not take it. The text never holds it."""
