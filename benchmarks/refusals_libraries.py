"""The packages that the refusals are tried with, each set up as its documentation says, and with all that it offers.

"As it says": key, algorithm, issuer and audience are given. "With all it offers": so are the options that make claims
required and keys strong.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from benchmarks.tokens_peers import AUDIENCE, ISSUER, Decode
from fastapi_patterns.security import Key, KeySet, TokenCodec, TokenConfig, TokenError

__all__ = ["LIBRARIES", "OURS", "Library", "Setup"]

_REQUIRED = ("exp", "iss", "aud", "sub")
_KTY = {"HS": "oct", "RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


@dataclass(frozen=True)
class Setup:
    """What a decoder is given.

    Args:
        key: A secret, or a public key as PEM.
        algorithm: The one algorithm that is allowed.
        jwks: A JWK Set instead of the key.
        audience: What is expected; None expects none.
        asked: Whether all options are given.
    """

    key: bytes = b""
    algorithm: str = "HS256"
    jwks: Mapping[str, Any] | None = None
    audience: str | list[str] | None = AUDIENCE
    asked: bool = False

    @property
    def kty(self) -> str:
        """The key's type, as a JWK names it."""
        return _KTY[self.algorithm[:2]]

    @property
    def required(self) -> tuple[str, ...]:
        """The claims that can be asked for."""
        if not self.asked:
            return ()
        return _REQUIRED if self.audience is not None else tuple(name for name in _REQUIRED if name != "aud")


@dataclass(frozen=True)
class Library:
    """A package, and how to use it.

    Args:
        name: What the page calls it.
        distribution: What it is called when it is installed.
        errors: The class of all its refusals.
        decoder: Makes the function that decodes.
        lacks: Algorithms that it does not have.
    """

    name: str
    distribution: str
    errors: Callable[[], type[Exception]]
    decoder: Callable[[Setup], Decode]
    lacks: frozenset[str] = frozenset()


def _ours(setup: Setup) -> Decode:
    keys: Key | KeySet
    if setup.jwks is not None:
        keys = KeySet.from_jwks(setup.jwks)
    elif setup.kty == "oct":
        keys = Key.from_secret(setup.key, algorithm=setup.algorithm)
    else:
        keys = Key.from_pem(setup.key, algorithm=setup.algorithm)
    return TokenCodec(TokenConfig(keys=keys, issuer=ISSUER, audience=setup.audience)).decode


def _python_jose(setup: Setup) -> Decode:
    jwt = import_module("jose.jwt")
    key: Any = setup.key if setup.jwks is None else setup.jwks
    options = {f"require_{name}": True for name in setup.required}
    return lambda token: jwt.decode(
        token, key, algorithms=[setup.algorithm], issuer=ISSUER, audience=setup.audience, options=options
    )


def _pyjwt(setup: Setup) -> Decode:
    jwt = import_module("jwt")
    options: dict[str, Any] = {"require": list(setup.required)}
    if setup.asked:
        options["enforce_minimum_key_length"] = True
    find: Callable[[str], Any] = lambda token: setup.key  # noqa: E731
    if setup.jwks is not None:
        client = jwt.PyJWKClient("https://issuer.example/jwks.json")
        client.fetch_data = lambda: setup.jwks  # instead of the request
        find = lambda token: client.get_signing_key_from_jwt(token).key  # noqa: E731
    return lambda token: jwt.decode(
        token,
        find(token),
        algorithms=[setup.algorithm],
        issuer=ISSUER,
        audience=setup.audience,
        options=options,
    )


def _rules(setup: Setup) -> dict[str, Any]:
    """Give the claims as joserfc and authlib are told of them."""
    rules: dict[str, Any] = {name: {"essential": True} for name in setup.required}
    rules["iss"] = {"essential": True, "value": ISSUER}
    if setup.audience is not None:
        kind = "value" if isinstance(setup.audience, str) else "values"
        rules["aud"] = {"essential": True, kind: setup.audience}
    return rules


def _joserfc(setup: Setup) -> Decode:
    jwt, jwk = import_module("joserfc.jwt"), import_module("joserfc.jwk")
    key = jwk.import_key(setup.key, setup.kty) if setup.jwks is None else jwk.KeySet.import_key_set(setup.jwks)
    registry = jwt.JWTClaimsRegistry(**_rules(setup))

    def decode(token: str) -> Any:
        found = jwt.decode(token, key, algorithms=[setup.algorithm])
        registry.validate(found.claims)
        return found.claims

    return decode


def _authlib_module() -> Any:
    deprecation = import_module("authlib.deprecate").AuthlibDeprecationWarning
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", deprecation)
        return import_module("authlib.jose")


def _authlib(setup: Setup) -> Decode:
    jose = _authlib_module()
    keys = jose.JsonWebKey
    key = keys.import_key(setup.key, {"kty": setup.kty}) if setup.jwks is None else keys.import_key_set(setup.jwks)
    jwt = jose.JsonWebToken([setup.algorithm])

    def decode(token: str) -> Any:
        claims = jwt.decode(token, key, claims_options=_rules(setup))
        claims.validate()
        return claims

    return decode


def _class(module: str, name: str) -> Callable[[], type[Exception]]:
    def find() -> type[Exception]:
        found: type[Exception] = getattr(import_module(module), name)
        return found

    return find


OURS = Library("fastapi-patterns", "fastapi-patterns", lambda: TokenError, _ours)
LIBRARIES = (
    OURS,
    Library(
        "python-jose",
        "python-jose",
        _class("jose.exceptions", "JOSEError"),
        _python_jose,
        frozenset({"PS256", "EdDSA"}),
    ),
    Library("PyJWT", "PyJWT", _class("jwt", "PyJWTError"), _pyjwt),
    Library("joserfc", "joserfc", _class("joserfc.errors", "JoseError"), _joserfc),
    Library("authlib.jose", "Authlib", lambda: getattr(_authlib_module().errors, "JoseError"), _authlib),  # noqa: B009
)
