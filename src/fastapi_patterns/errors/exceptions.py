"""The exception that applications raise for an answer of their own."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi_patterns.exceptions import ErrorInfo, PatternsError

__all__ = ["AppException", "phrase"]

# Members of the body that the renderer itself writes.
_RESERVED = frozenset({"error", "errors", "code"})


class AppException(PatternsError):  # noqa: N818 (the name that applications already use)
    """Ends the request with an error answer: `raise AppException(400, "Invalid input")`.

    Args:
        status_code: 400 to 599.
        detail: What the client reads: text, or any JSON value. The status's own phrase by default.
        code: A stable machine-readable word for the client's code, such as `"email_taken"`.
        headers: Extra response headers, such as `{"Retry-After": "30"}`.
        extra: More members for the body.

    Raises:
        ValueError: The status is not an error, or `extra` holds a member that the body has already.

    HTTP:
        `{"error": detail}` with the status, and `code` and the members of `extra` when given.
    """

    def __init__(
        self,
        status_code: int,
        detail: Any = None,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if not 400 <= status_code <= 599:
            raise ValueError(f"status_code must be an error, 400 to 599; got {status_code}")
        if extra and (taken := _RESERVED & extra.keys()):
            raise ValueError(f"extra must not hold {', '.join(sorted(taken))}: the body has these members already")
        self.status_code = status_code
        self.detail = phrase(status_code) if detail is None else detail
        self.code = code
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        super().__init__(status_code, detail)

    def __str__(self) -> str:
        return f"{self.status_code} {self.detail}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy with every field: the default would call `__init__` with `args` alone."""
        return _restore, (type(self), self.args, self.__dict__)

    def info(self) -> ErrorInfo:
        """Give what the client may learn, for a renderer."""
        return ErrorInfo(
            status=self.status_code,
            detail=self.detail,
            code=self.code,
            headers=self.headers,
            extra=self.extra,
        )


def phrase(status_code: int) -> str:
    """Return a status in words, also one that has no name."""
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return "Error"


def _restore(cls: type[AppException], args: tuple[Any, ...], state: dict[str, Any]) -> AppException:
    made = cls.__new__(cls, *args)
    made.args = args
    made.__dict__.update(state)
    return made
