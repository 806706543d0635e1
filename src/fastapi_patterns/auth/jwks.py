"""`make_jwks_router`: the public keys, where whoever checks the tokens looks for them."""

from datetime import timedelta

from fastapi import APIRouter, Response

from fastapi_patterns.security import KeySet, TokenCodec

__all__ = ["make_jwks_router"]


def make_jwks_router(
    keys: KeySet | TokenCodec, *, path: str = "/.well-known/jwks.json", max_age: timedelta = timedelta(minutes=5)
) -> APIRouter:
    """Make the route that publishes the public keys as a JWK Set (RFC 7517 section 5).

    Secrets and private members are never in it; a set of secrets alone is empty.

    Args:
        keys: The set, or the codec whose keys these are: those of the moment, when they are a function.
        path: Where.
        max_age: How long readers may keep it; publish a new key this long before it signs.
    """
    router = APIRouter()

    @router.get(path, include_in_schema=False)
    async def jwks(response: Response) -> dict[str, list[dict[str, str]]]:
        response.headers["Cache-Control"] = f"public, max-age={int(max_age.total_seconds())}"
        return (keys.keys if isinstance(keys, TokenCodec) else keys).public_jwks()

    return router
