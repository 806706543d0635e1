"""`TokensByIssuer`: tokens of several issuers or tenants in one application, each with its own keys and rules."""

from collections.abc import Iterable
from typing import Any

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import _compact
from fastapi_patterns.security.claims import Claims
from fastapi_patterns.security.errors import TokenClaimsError
from fastapi_patterns.security.tokens import TokenCodec

__all__ = ["TokensByIssuer"]


class TokensByIssuer:
    """Gives each token to the codec of its issuer; a user is then issuer and subject together.

    `iss` is read before the signature is checked, to choose by, and compared exactly; the chosen codec checks it again
    with all else. A token of an issuer that is not listed is refused before any key is used.

    Args:
        codecs: One for each issuer; their configurations name it.

    Raises:
        ConfigurationError: A codec has no issuer, or a function for one, or two have the same.
    """

    def __init__(self, codecs: Iterable[TokenCodec]) -> None:
        self._codecs: dict[str, TokenCodec] = {}
        for codec in codecs:
            issuer = codec.config.issuer
            if not isinstance(issuer, str):
                raise ConfigurationError("each codec needs an issuer of its own: TokenConfig(issuer='https://...')")
            if issuer in self._codecs:
                raise ConfigurationError(f"two codecs have the issuer {issuer!r}")
            self._codecs[issuer] = codec
        if not self._codecs:
            raise ConfigurationError("TokensByIssuer needs one codec or more")

    def decode(self, token: str) -> Claims:
        """Check a token with the codec of its issuer.

        Raises:
            TokenError: The token is refused.
        """
        return self._codec_of(token).decode(token)

    async def prepare(self, token: str) -> None:
        """Have the codec of a token's issuer fetch what it needs, where it does that; no other one is asked.

        Raises:
            TokenError: The token is refused.
        """
        prepare = getattr(self._codec_of(token), "prepare", None)
        if prepare is not None:
            await prepare(token)

    def _codec_of(self, token: str) -> TokenCodec:
        longest = max(codec.config.max_bytes for codec in self._codecs.values())
        _, payload, _, _ = _compact.split(token, longest)
        issuer: Any = _compact.parse_object(_compact.decode_part(payload)).get("iss")
        codec = self._codecs.get(issuer) if isinstance(issuer, str) else None
        if codec is None:
            raise TokenClaimsError("iss", "is not an issuer that is known here")
        return codec
