"""Ready errors: the status, a stable code and a default text belong to the class, so a route only says which.

An application hangs its own under them::

    class EmailTakenError(ConflictError, code="email_taken", detail="This e-mail address is taken"):
        \"\"\"Somebody has this address already.\"\"\"


    raise EmailTakenError()

The tree::

    AppException
    └── CodedError
        ├── BadRequestError         400  bad_request
        ├── PermissionDeniedError   403  permission_denied
        ├── NotFoundError           404  not_found
        ├── ConflictError           409  conflict
        ├── TooManyRequestsError    429  too_many_requests
        └── UnavailableError        503  unavailable
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from fastapi_patterns.errors.exceptions import AppException
from fastapi_patterns.exceptions import ConfigurationError

__all__ = [
    "BadRequestError",
    "CodedError",
    "ConflictError",
    "NotFoundError",
    "PermissionDeniedError",
    "TooManyRequestsError",
    "UnavailableError",
]

_CLASS_OF: dict[str, type["CodedError"]] = {}


class CodedError(AppException):
    """An `AppException` whose class says status, code and text.

    A subclass gives what differs from its parent as class arguments: `status`, `code`, `detail`. A code stands for one
    class: clients rely on it.

    Args:
        detail: What the client reads; the class's own text by default.
        headers: Extra response headers.
        extra: More members for the body.

    Raises:
        ConfigurationError: When the class is made: its code is another class's, or there is no status.
    """

    class_status: ClassVar[int] = 0
    class_code: ClassVar[str] = ""
    class_detail: ClassVar[str | None] = None

    def __init_subclass__(
        cls, *, status: int | None = None, code: str | None = None, detail: str | None = None, **kwargs: Any
    ) -> None:
        """Take the class arguments and register the code."""
        super().__init_subclass__(**kwargs)
        if status is not None:
            cls.class_status = status
        if detail is not None:
            cls.class_detail = detail
        if not 400 <= cls.class_status <= 599:
            raise ConfigurationError(
                f"{cls.__qualname__} needs a status of 400 to 599: class X(CodedError, status=409)"
            )
        if code is not None:
            _register(code, cls)
            cls.class_code = code

    def __init__(
        self,
        detail: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            self.class_status,
            self.class_detail if detail is None else detail,
            code=self.class_code or None,
            headers=headers,
            extra=extra,
        )


def _register(code: str, cls: type[CodedError]) -> None:
    known = _CLASS_OF.get(code)
    # The same class again is a module that was loaded anew.
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ConfigurationError(
            f"the code {code!r} belongs to {known.__module__}.{known.__qualname__}: "
            f"give {cls.__module__}.{cls.__qualname__} one of its own"
        )
    _CLASS_OF[code] = cls


class BadRequestError(CodedError, status=400, code="bad_request"):
    """The request cannot be served as it is: 400."""


class PermissionDeniedError(CodedError, status=403, code="permission_denied", detail="Not enough permissions"):
    """The user is known and may not do this: 403."""


class NotFoundError(CodedError, status=404, code="not_found"):
    """There is no such thing, or none that this user may see: 404."""


class ConflictError(CodedError, status=409, code="conflict"):
    """The request contradicts what is there: 409."""


class TooManyRequestsError(CodedError, status=429, code="too_many_requests"):
    """The client asks too often: 429. Say when to come back: `headers={"Retry-After": "30"}`."""


class UnavailableError(CodedError, status=503, code="unavailable"):
    """Something that is needed is not there right now: 503."""
