"""The files every FastAPI application pastes, written once: the front door.

Importing this module imports nothing else: a name brings in its room on first use (PEP 562), so an
application pays for what it uses and a missing extra is reported by name. Each room can also be imported
by itself, `fastapi_patterns.security` for example.
"""

# Type checkers take the name for typing.TYPE_CHECKING; importing `typing` would be most of what this module costs.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from fastapi_patterns.auth import LoginSessions as LoginSessions
    from fastapi_patterns.auth import make_auth_router as make_auth_router
    from fastapi_patterns.auth import make_current_user as make_current_user
    from fastapi_patterns.db import AsyncDatabase as AsyncDatabase
    from fastapi_patterns.db import Database as Database
    from fastapi_patterns.errors import AppException as AppException
    from fastapi_patterns.errors import EnvelopeRenderer as EnvelopeRenderer
    from fastapi_patterns.errors import FunctionRenderer as FunctionRenderer
    from fastapi_patterns.errors import ProblemRenderer as ProblemRenderer
    from fastapi_patterns.errors import error_responses as error_responses
    from fastapi_patterns.errors import install_error_handlers as install_error_handlers
    from fastapi_patterns.exceptions import ConfigurationError as ConfigurationError
    from fastapi_patterns.exceptions import ConfigurationWarning as ConfigurationWarning
    from fastapi_patterns.exceptions import ErrorInfo as ErrorInfo
    from fastapi_patterns.exceptions import MissingExtraError as MissingExtraError
    from fastapi_patterns.exceptions import PatternsError as PatternsError
    from fastapi_patterns.http import HttpClient as HttpClient
    from fastapi_patterns.logs import configure_logging as configure_logging
    from fastapi_patterns.middleware import RequestLogConfig as RequestLogConfig
    from fastapi_patterns.middleware import RequestLogMiddleware as RequestLogMiddleware
    from fastapi_patterns.middleware import install_cors as install_cors
    from fastapi_patterns.security import Claims as Claims
    from fastapi_patterns.security import ExpiredClaims as ExpiredClaims
    from fastapi_patterns.security import InsecureLegacyTokens as InsecureLegacyTokens
    from fastapi_patterns.security import Key as Key
    from fastapi_patterns.security import KeySet as KeySet
    from fastapi_patterns.security import OneTimeTokens as OneTimeTokens
    from fastapi_patterns.security import PasswordHasher as PasswordHasher
    from fastapi_patterns.security import TokenCodec as TokenCodec
    from fastapi_patterns.security import TokenConfig as TokenConfig
    from fastapi_patterns.security import TokenError as TokenError
    from fastapi_patterns.security import create_access_token as create_access_token
    from fastapi_patterns.security import decode_token as decode_token
    from fastapi_patterns.security import hash_password as hash_password
    from fastapi_patterns.security import verify_password as verify_password
    from fastapi_patterns.stack import explain as explain
    from fastapi_patterns.stack import install_stack as install_stack
    from fastapi_patterns.tasks import PendingTasks as PendingTasks
    from fastapi_patterns.tasks import TaskQueue as TaskQueue

__version__ = "0.1.0"

__all__ = [
    "AppException",
    "AsyncDatabase",
    "Claims",
    "ConfigurationError",
    "ConfigurationWarning",
    "Database",
    "EnvelopeRenderer",
    "ErrorInfo",
    "ExpiredClaims",
    "FunctionRenderer",
    "HttpClient",
    "InsecureLegacyTokens",
    "Key",
    "KeySet",
    "LoginSessions",
    "MissingExtraError",
    "OneTimeTokens",
    "PasswordHasher",
    "PatternsError",
    "PendingTasks",
    "ProblemRenderer",
    "RequestLogConfig",
    "RequestLogMiddleware",
    "TaskQueue",
    "TokenCodec",
    "TokenConfig",
    "TokenError",
    "configure_logging",
    "create_access_token",
    "decode_token",
    "error_responses",
    "explain",
    "hash_password",
    "install_cors",
    "install_error_handlers",
    "install_stack",
    "make_auth_router",
    "make_current_user",
    "verify_password",
]

_ROOM_OF = {
    "AppException": "errors",
    "AsyncDatabase": "db",
    "Claims": "security",
    "ConfigurationError": "exceptions",
    "ConfigurationWarning": "exceptions",
    "Database": "db",
    "EnvelopeRenderer": "errors",
    "ErrorInfo": "exceptions",
    "ExpiredClaims": "security",
    "FunctionRenderer": "errors",
    "HttpClient": "http",
    "InsecureLegacyTokens": "security",
    "Key": "security",
    "KeySet": "security",
    "LoginSessions": "auth",
    "MissingExtraError": "exceptions",
    "OneTimeTokens": "security",
    "PasswordHasher": "security",
    "PatternsError": "exceptions",
    "PendingTasks": "tasks",
    "ProblemRenderer": "errors",
    "RequestLogConfig": "middleware",
    "RequestLogMiddleware": "middleware",
    "TaskQueue": "tasks",
    "TokenCodec": "security",
    "TokenConfig": "security",
    "TokenError": "security",
    "configure_logging": "logs",
    "create_access_token": "security",
    "decode_token": "security",
    "error_responses": "errors",
    "explain": "stack",
    "hash_password": "security",
    "install_cors": "middleware",
    "install_error_handlers": "errors",
    "install_stack": "stack",
    "make_auth_router": "auth",
    "make_current_user": "auth",
    "verify_password": "security",
}

if not TYPE_CHECKING:  # a __getattr__ that type checkers see would hide misspelled imports from them

    def __getattr__(name: str) -> object:
        room = _ROOM_OF.get(name)
        if room is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        if name == "AsyncDatabase":  # its room stands on a smaller extra, and would name that one
            from fastapi_patterns._optional import require

            require("sqlalchemy", "greenlet", extra="async-db", room="fastapi_patterns.db.AsyncDatabase")
        value = getattr(import_module(f"{__name__}.{room}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
