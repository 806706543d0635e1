"""The dependency under all others: verifies the credential and loads the user, once a request."""

import inspect
from typing import Annotated, Any

from fastapi import Depends
from fastapi.security import OAuth2
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from fastapi_patterns.auth._authenticate import Authenticator, Credential, Loaded, RefusedError
from fastapi_patterns.auth._loader import Loader, read_loader
from fastapi_patterns.auth._sockets import end_with_token
from fastapi_patterns.auth.failures import Reason
from fastapi_patterns.auth.sources import Source
from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["Absent", "Base", "Refused", "expect_nothing"]

_LENIENT = "fastapi_patterns.lenient"
_USERS = "fastapi_patterns.users"
_KEYWORD = inspect.Parameter.KEYWORD_ONLY


class Absent:
    """No credential was sent."""


class Refused:
    """A credential was refused, and the route wants to go on without a user."""

    def __init__(self, reason: Reason, why: str) -> None:
        self.reason: Reason = reason
        self.why = why


_ABSENT = Absent()


async def expect_nothing(connection: HTTPConnection) -> None:
    """Let `base` give a `Refused` instead of raising."""
    connection.scope[_LENIENT] = True


class _Scheme(OAuth2):  # older FastAPIs show scopes for nothing else
    """Shows a further source in OpenAPI, and does nothing."""

    def __init__(self, source: Source) -> None:
        self.model = source.model
        self.scheme_name = source.name

    async def __call__(self) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        """Do nothing."""


class _Verified(_Scheme):
    """Verifies the credential before the loader's own dependencies are solved: a bad token never opens a session."""

    def __init__(self, base: "Base", source: Source) -> None:
        super().__init__(source)
        self._base = base

    async def __call__(self, connection: HTTPConnection) -> Any:  # type: ignore[override]  # FastAPI reads it
        """Return a `Credential`, `Absent` or `Refused`."""
        return await self._base.verify(connection)


class Base(OAuth2):
    """Gives a `Loaded`, `Absent` or `Refused`.

    A security scheme itself, so that a loader without dependencies of its own costs one dependency and not three.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        first, *others = authenticator.sources
        self.model = first.model
        self.scheme_name = first.name
        loaders = [read_loader(s.load_user) if s.load_user else authenticator.loader for s in (first, *others)]
        # By identity: a source's model cannot be hashed.
        self._loaders = {id(source): loader for source, loader in zip((first, *others), loaders, strict=True)}
        parameters = _merged(loaders)
        markers = [_parameter(f"_scheme{number}", _Scheme(source)) for number, source in enumerate(others)]
        self._connection = inspect.Parameter("_connection", _KEYWORD, annotation=HTTPConnection)
        own = [self._connection]
        if parameters:
            own.append(_parameter("_verified", _Verified(self, first)))
        self.__signature__ = inspect.Signature([*own, *markers, *parameters])

    async def __call__(  # type: ignore[override]  # FastAPI fills it by name
        self, _connection: HTTPConnection, _verified: Any = None, **values: Any
    ) -> Any:
        """Return what became of the request's credential; FastAPI fills the arguments."""
        # FastAPI calls a dependency again for each set of scopes that a route asks for; the user is loaded once.
        # Of these headers: a copy of the scope with others is another request.
        headers, memo = _connection.scope.get(_USERS, (None, {}))
        if headers is not _connection.scope["headers"]:
            memo = {}
            _connection.scope[_USERS] = (_connection.scope["headers"], memo)
        if self in memo:
            return memo[self]
        found = await self.verify(_connection) if _verified is None else _verified
        if isinstance(found, Credential):
            found = await self._load(_connection, found, values)
        memo[self] = found
        return found

    async def verify(self, connection: HTTPConnection) -> Credential | Absent | Refused:
        """Verify the credential of a request."""
        try:
            return await self._authenticator.verify(connection) or _ABSENT
        except RefusedError as error:
            return await self._refused(connection, error)

    async def _load(self, connection: HTTPConnection, credential: Credential, values: dict[str, Any]) -> Any:
        authenticator = self._authenticator
        loader = self._loaders[id(credential.source)]
        own = {parameter.name: values[parameter.name] for parameter in loader.parameters} if values else values
        try:
            loaded = await authenticator.load(credential, loader, own)
        except RefusedError as error:
            return await self._refused(connection, error)
        if credential.claims is not None and isinstance(connection, WebSocket):
            end_with_token(connection, credential.claims, is_revoked=authenticator.is_revoked_hook)
        return loaded

    async def _refused(self, connection: HTTPConnection, error: RefusedError) -> Refused:
        if connection.scope.get(_LENIENT):
            return Refused(error.reason, str(error))
        return await self._authenticator.refuse(connection, error.reason, str(error))

    @staticmethod
    def unpack(loaded: Any) -> tuple[Any, Credential | None]:
        """Give the user and the credential; an override's user comes as it is and has every scope."""
        if isinstance(loaded, Loaded):
            return loaded.user, loaded.credential
        return loaded, None


def _merged(loaders: list[Loader]) -> list[inspect.Parameter]:
    """Put the parameters of all loaders into one signature; a name means the same in each of them."""
    merged: dict[str, inspect.Parameter] = {}
    for loader in loaders:
        for parameter in loader.parameters:
            known = merged.setdefault(parameter.name, parameter)
            if known.annotation != parameter.annotation or known.default != parameter.default:
                raise ConfigurationError(
                    f"two loaders take a parameter {parameter.name!r} and mean different things; rename one of them"
                )
    return list(merged.values())


def _parameter(name: str, dependency: Any) -> inspect.Parameter:
    return inspect.Parameter(name, _KEYWORD, annotation=Annotated[Any, Depends(dependency)])
