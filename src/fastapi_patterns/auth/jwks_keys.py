"""`JWKSKeys`: tokens of an identity provider, checked with the keys that it publishes."""

import asyncio
import contextvars
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from fastapi_patterns._clock import utc_now
from fastapi_patterns._optional import require
from fastapi_patterns.exceptions import ConfigurationError, PatternsError
from fastapi_patterns.security import (
    Key,
    KeySet,
    TokenClaimsError,
    TokenCodec,
    TokenConfig,
    TokenMalformedError,
    TokenSignatureError,
    _compact,
)
from fastapi_patterns.security._signing import ALGORITHMS

__all__ = ["JWKSKeys", "KeysUnavailableError"]

_log = logging.getLogger("fastapi_patterns.auth")

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PUBLIC = {name: known for name, known in ALGORITHMS.items() if known.kty != "oct"}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
# What ID tokens alone have (OpenID Connect Core 1.0 sections 3.1.3.6 and 3.3.2.11).
_ID_TOKEN_CLAIMS = ("at_hash", "c_hash")
_LEEWAY = timedelta(seconds=10)
_MAX_BYTES = 2**19
_MAX_KEYS = 100
_TIMEOUT_S = 5.0
# Without `Cache-Control`, and the limits to what it may ask for.
_MAX_AGE_S = 300.0
_SHORTEST_S, _LONGEST_S = 60.0, 86_400.0


class KeysUnavailableError(PatternsError):
    """There are no keys of the issuer that may still be used; the request is answered with 503.

    Attributes:
        retry_after_s: When they are asked for again.
    """

    def __init__(self, issuer: str, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"the keys of {issuer} cannot be fetched")


class JWKSKeys(TokenCodec):
    """Checks tokens of an issuer elsewhere, such as Auth0, Entra or Keycloak: for `make_current_user(..., tokens=...)`.

    The keys are fetched with the first token, and kept as long as the issuer's `Cache-Control` says, 1 minute to 1 day.
    A token with a `kid` that is not known has them fetched again, once for all requests that wait for it, and not
    before `min_interval` has passed: tokens with made-up names cause no flood. While the issuer is out of reach the
    keys that are there are used for `max_stale`; after that requests are answered with 503.

    Everything else is checked as a `TokenCodec` does: a key is good for its own algorithm alone, `iss` and `aud` must
    match, `exp` is required. The issuer is compared before anything is fetched. With several of these use
    `TokensByIssuer`.

    Args:
        url: Of the JWK Set, such as `https://tenant.auth0.com/.well-known/jwks.json`; https, or http on loopback.
        issuer: What `iss` says, exactly.
        audience: Your API, as the issuer calls it: `aud` must name it, or one of several. Without it a token that was
            made for any other service of the issuer would be good here.
        algorithms: What the issuer signs with. Keys for other algorithms are left out; one that names none is for the
            first of these that fits it.
        client: An `HttpClient`, or an `httpx2.AsyncClient`; by default a client is made for each fetch. An `HttpClient`
            with a `base_url` keeps its headers and `auth` to that host; others send theirs to the issuer.
        min_interval: The time between two fetches at the least.
        max_stale: How long keys are used that could not be fetched again.
        now: The clock; tests inject their own.
        options: More of `TokenConfig`, such as `strict_typ`, `subject_claims` or `profile`; also `leeway`, which is 10
            seconds here: the clock that stamped the token is another machine's.

    Raises:
        ConfigurationError: The URL is not safe, an algorithm is no public-key one, or an option is wrong.

    Source:
        RFC 7517 section 5, RFC 8725 section 3.8 and 3.9, RFC 9111 section 5.2.2.1.
    """

    def __init__(
        self,
        url: str,
        *,
        issuer: str,
        audience: str | Sequence[str],
        algorithms: Sequence[str] = ("RS256",),
        client: Any = None,
        min_interval: timedelta = timedelta(seconds=10),
        max_stale: timedelta = timedelta(hours=1),
        now: Callable[[], datetime] = utc_now,
        **options: Any,
    ) -> None:
        _check_url(url)
        if isinstance(algorithms, str) or not algorithms or any(name not in _PUBLIC for name in algorithms):
            raise ConfigurationError(
                f"algorithms must be a list of public-key ones, of {', '.join(_PUBLIC)}; got {algorithms!r}"
            )
        if not isinstance(issuer, str) or not audience:
            raise ConfigurationError("JWKSKeys needs the issuer and the audience of its tokens")
        if min_interval < timedelta(seconds=1) or max_stale < timedelta(0):
            raise ConfigurationError("min_interval must be a second or more, max_stale must not be negative")
        if client is None:
            require("httpx2", extra="http", room="JWKSKeys")
        self._url = url
        self._algorithms = tuple(algorithms)
        self._client = client
        self._min_interval_s = min_interval.total_seconds()
        self._max_stale_s = max_stale.total_seconds()
        self._issued_by = issuer
        self._published: KeySet | None = None
        self._of_tests: tuple[Key, ...] = ()
        self._fetched_at = self._fresh_until = self._next_try = 0.0
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None
        config = TokenConfig(keys=self._current, issuer=issuer, audience=audience, **{"leeway": _LEEWAY, **options})
        super().__init__(config, now=now)

    async def prepare(self, token: str) -> None:
        """Have the key that a token names, before `decode` needs it; `make_current_user` awaits this.

        Raises:
            TokenError: The token is malformed, of another issuer or of an algorithm that is not listed: nothing is
                fetched for it.
            KeysUnavailableError: There are no keys that may still be used.
        """
        kid = self._kid_of(token)
        if any(key.kid == kid for key in self._of_tests):
            return
        if not self._may_be_used() or not self._knows(kid):
            if self._may_try() or self._is_fetching():
                await asyncio.shield(self._fetch_once())  # a request that is cancelled leaves it to the others
        elif not self._fetched_at <= self._seconds() < self._fresh_until and self._may_try():
            self._fetch_once()  # meanwhile the keys that are there are used
        # A key that is not known may be one that could not be fetched: nobody is logged out on a guess.
        if not self._may_be_used() or (self._failed and not self._knows(kid)):
            raise KeysUnavailableError(self._issued_by, max(1.0, self._next_try - self._seconds()))

    def _may_be_used(self) -> bool:
        return self._published is not None and self._seconds() <= self._fresh_until + self._max_stale_s

    def _may_try(self) -> bool:
        # Not when the next try lies further ahead than it was put: then the clock was set back.
        return not 0 < self._next_try - self._seconds() <= self._min_interval_s

    def _verified(self, token: object, kind: str, grace_s: float) -> tuple[dict[str, Any], tuple[str, ...]]:
        values, subject_claims = super()._verified(token, kind, grace_s)
        for name in _ID_TOKEN_CLAIMS:
            if name in values:
                raise TokenClaimsError(name, "says that it is an ID token")
        return values, subject_claims

    def _kid_of(self, token: str) -> str | None:
        header_part, payload_part, _, _ = _compact.split(token, self.config.max_bytes)
        if _compact.parse_object(_compact.decode_part(payload_part)).get("iss") != self._issued_by:
            raise TokenClaimsError("iss", "is not the issuer's that is expected")
        header = _compact.parse_object(_compact.decode_part(header_part))
        if header.get("alg") not in self._algorithms:
            raise TokenSignatureError("the token's algorithm is none of those that are configured")
        kid = header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise TokenMalformedError("the header 'kid' is not a text")
        return kid

    def _knows(self, kid: str | None) -> bool:
        keys = () if self._published is None else self._published.keys
        only = len(keys) == 1
        return any(key.kid == kid for key in keys) or (only and (kid is None or not keys[0].has_own_kid))

    def _current(self) -> KeySet:
        keys = () if self._published is None else self._published.keys
        if self._of_tests:
            return KeySet((*keys, *self._of_tests))
        if self._published is None:
            raise ConfigurationError("the keys have not been fetched: await tokens.prepare(token) before decode(token)")
        return self._published

    def _is_fetching(self) -> bool:
        task = self._fetching
        return task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()

    def _fetch_once(self) -> "asyncio.Task[None]":
        if self._fetching is None or not self._is_fetching():
            self._next_try = self._seconds() + self._min_interval_s
            # In no request's context: it is for all of them, and their ids are none of the issuer's business.
            self._fetching = asyncio.create_task(self._fetch(), context=contextvars.Context())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                body, cache_control = await self._read()
            keys = _keys_of(body, self._algorithms)
        except Exception as error:
            # Its words may hold what was received, or an address with a password.
            told = isinstance(error, (_UnusableError, PatternsError))  # the second: an HttpClient that is not open
            reason = str(error) if told else type(error).__name__
            _log.warning("The keys of %s could not be fetched: %s", self._issued_by, reason)
            self._failed = True
            return
        self._published, self._failed = KeySet(keys), False
        self._fetched_at = self._seconds()
        self._fresh_until = self._fetched_at + _max_age_s(cache_control)

    async def _read(self) -> tuple[bytes, str]:
        async with (
            self._open_client() as client,
            client.stream("GET", self._url, headers={"Accept": "application/json"}, follow_redirects=False) as response,
        ):
            if response.status_code != 200:
                raise _UnusableError(f"the answer was {response.status_code}")
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise _UnusableError(f"the answer is longer than {_MAX_BYTES} bytes")
            return body, response.headers.get("Cache-Control", "")

    @asynccontextmanager
    async def _open_client(self) -> AsyncIterator[Any]:
        if self._client is None:
            import httpx2

            async with httpx2.AsyncClient(timeout=_TIMEOUT_S) as client:
                yield client
        elif hasattr(self._client, "stream"):
            yield self._client
        else:
            yield await self._client.client()

    def _for_tests(self) -> tuple[TokenCodec, Callable[[], None]]:
        """Make a codec whose tokens are good here, and what ends that: for `login_as`."""
        before = self._of_tests
        key = _key_of_tests(min(self._algorithms, key=lambda name: name[:2] in ("RS", "PS")))  # RSA keys take long
        self._of_tests = (key,)

        def end() -> None:
            self._of_tests = before

        return TokenCodec(replace(self.config, keys=key), now=self._now), end

    def __repr__(self) -> str:
        return f"JWKSKeys({self._url!r}, issuer={self._issued_by!r})"


@cache
def _key_of_tests(algorithm: str) -> Key:
    return Key.generate(algorithm, kid="of-the-tests")


class _UnusableError(Exception):
    """What was received cannot be used; the message holds nothing of it."""


def _check_url(url: Any) -> None:
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or not parts.hostname:
        raise ConfigurationError("url must be the address of a JWK Set, such as https://id.example/jwks.json")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("url must not hold a user and a password: pass a client that has them")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ConfigurationError("url must be https: whoever is on the way could send keys of their own")


def _keys_of(body: bytes, algorithms: Sequence[str]) -> list[Key]:
    try:
        listed: Any = json.loads(body)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _UnusableError("the answer is no JWK Set") from None
    if not isinstance(listed, list) or len(listed) > _MAX_KEYS:
        raise _UnusableError(f"the answer has no list of at most {_MAX_KEYS} keys")
    keys: dict[str, Key] = {}
    for jwk in listed:
        algorithm = _algorithm_of(jwk, algorithms)
        if algorithm is None:
            continue
        try:
            key = Key.from_jwk(jwk, algorithm=algorithm)
        except ConfigurationError:
            continue  # for encryption, weak, malformed: the others are still good
        if not key.can_sign:  # a private key that is published is nobody's any more
            keys.setdefault(key.kid, key)
    if not keys:
        raise _UnusableError(f"the answer has no key for {', '.join(algorithms)}")
    return list(keys.values())


def _algorithm_of(jwk: Any, algorithms: Sequence[str]) -> str | None:
    """Choose what a listed key is for; None where it is for nothing that is accepted here, a secret among others."""
    if not isinstance(jwk, Mapping):
        return None
    if "alg" in jwk:
        return jwk["alg"] if jwk["alg"] in algorithms else None
    return next((name for name in algorithms if _fits(jwk, name)), None)


def _fits(jwk: Mapping[str, Any], algorithm: str) -> bool:
    return jwk.get("kty") == _PUBLIC[algorithm].kty and jwk.get("crv") == _CURVES.get(algorithm, jwk.get("crv"))


def _max_age_s(cache_control: str) -> float:
    """Read how long an answer may be kept (RFC 9111 section 5.2.2.1)."""
    if re.search(r"\bno-(store|cache)\b", cache_control, re.IGNORECASE):
        return _SHORTEST_S
    found = re.search(r"\bmax-age\s*=\s*\"?(\d{1,9})", cache_control, re.IGNORECASE)
    return _MAX_AGE_S if found is None else min(max(float(found[1]), _SHORTEST_S), _LONGEST_S)
