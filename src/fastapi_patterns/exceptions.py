"""What every room may raise or hand over: a leaf that imports no room and no third-party package.

The tree::

    PatternsError
    ├── ConfigurationError   the application is set up wrongly; raised at start-up, says what to do
    └── MissingExtraError    a room is used without the packages of its extra (also an ImportError)

Rooms hang their own errors under `PatternsError`. What works but is probably not meant is a
`ConfigurationWarning`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "ConfigurationError",
    "ConfigurationWarning",
    "ErrorInfo",
    "ExceptionMap",
    "MissingExtraError",
    "PatternsError",
]


class PatternsError(Exception):
    """The root of every error that this package defines."""


class ConfigurationError(PatternsError):
    """The application is set up in a way that cannot work or is not safe: the message says what to do."""


class ConfigurationWarning(UserWarning):
    """The application is set up in a way that works and is probably not what was meant: the message says what to do.

    `warnings.simplefilter("error", ConfigurationWarning)` makes it stop the application.
    """


class MissingExtraError(PatternsError, ImportError):
    """A room was imported without the packages of its extra: the message holds the pip line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """What a client may learn of an error: a renderer turns it into a body.

    Args:
        status: HTTP status code of the answer.
        detail: The public text, or any JSON value. Never the text of an unexpected exception.
        code: A stable machine-readable word, such as `"email_taken"`.
        headers: Extra response headers, such as `{"Retry-After": "1"}`.
        errors: One mapping a failed field, `{"field": "body.email", "message": "..."}`; a field of a JSON body also has
            a `pointer`, such as `"#/email"` (RFC 6901).
        request_id: The request's id; filled in when the answer is made.
        extra: More members for the body, JSON values by name.
    """

    status: int
    detail: Any = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: Sequence[Mapping[str, str]] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None


ExceptionMap = Mapping[type[Exception], ErrorInfo | tuple[int, str] | Callable[[Any], ErrorInfo | None]]
"""Exception class to answer: an `ErrorInfo`, the pair (status, public text), or a function of the exception.

A function may return None: then the exception stays unhandled, as if it were not in the map. A callable object may have
a method `named` besides, of the same signature: the answer to a failure that it knows by its own name. Where several
resources of `install_stack` answer one class, all are asked for `named` before the first answers for all.
"""
