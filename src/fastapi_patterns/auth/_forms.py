"""Bodies of the login routes: the OAuth2 form, which the docs page sends, or JSON. Read once, within a size."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from fastapi_patterns._openapi import detail_response

__all__ = ["LOGIN_BODY", "REFRESH_BODY", "REFUSED_BODY", "LoginForm", "missing", "read_login", "read_refresh"]

_MAX_BYTES = 16_384
_MAX_FIELDS = 20
_MAX_NAME_CHARS = 320  # of an e-mail address (RFC 3696 section 3)


def _body(required: list[str], **properties: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": required,
        "properties": {
            name: {"type": "string", **({"format": text} if text else {})} for name, text in properties.items()
        },
    }
    kinds = ("application/x-www-form-urlencoded", "application/json")
    return {"required": bool(required), "content": {kind: {"schema": schema} for kind in kinds}}


LOGIN_BODY = _body(["username", "password"], username="", password="password", scope="")  # noqa: S106 (a format)
REFRESH_BODY = _body([], refresh_token="")


# FastAPI documents its 422 where it reads the body itself. The names are FastAPI's, so the document has one of each,
# and the error handlers put their own body there.
class ValidationError(BaseModel):
    """A field that does not fit."""

    loc: list[str | int]
    msg: str
    type: str


class HTTPValidationError(BaseModel):
    """What does not fit."""

    detail: list[ValidationError] = []


REFUSED_BODY: dict[int | str, dict[str, Any]] = {
    413: detail_response("The body is too long"),
    415: detail_response("The body is of another kind"),
    422: {"description": "Validation Error", "model": HTTPValidationError},
}


@dataclass(frozen=True, slots=True)
class LoginForm:
    """What was typed."""

    username: str
    password: str = field(repr=False)
    scopes: tuple[str, ...]


async def read_login(request: Request) -> LoginForm:
    """Read name, password and scopes.

    HTTP:
        What is missing or no text: 422. A body of another kind: 415, too long: 413.
    """
    values = await _read(request)
    username, password, scope = (values.get(name, "") for name in ("username", "password", "scope"))
    for name, value in (("username", username), ("password", password)):
        if not isinstance(value, str) or not value:
            raise missing(name)
    if "\0" in username or not _is_unicode(username):  # which JSON can spell, and databases cannot take
        raise _invalid("username", "Input should be a valid string")
    if len(username) > _MAX_NAME_CHARS:
        raise _invalid("username", f"String should have at most {_MAX_NAME_CHARS} characters")
    if not isinstance(scope, str):
        raise _invalid("scope", "Input should be a valid string")
    return LoginForm(username, password, tuple(scope.split()))


async def read_refresh(request: Request) -> str | None:
    """Read the refresh token, or None when the body has none: it may be in a cookie."""
    values = await _read(request)
    token = values.get("refresh_token")
    if token is not None and not isinstance(token, str):
        raise _invalid("refresh_token", "Input should be a valid string")
    return token


async def _read(request: Request) -> dict[str, Any]:
    body = await _bytes(request)
    if not body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            raise _invalid("body", "JSON decode error") from None
        if not isinstance(values, dict):
            raise _invalid("body", "Input should be an object")
        return values
    if kind == "application/x-www-form-urlencoded":
        try:
            pairs = parse_qsl(
                body.decode(), keep_blank_values=True, max_num_fields=20, encoding="utf-8", errors="strict"
            )
        except ValueError:
            raise _invalid("body", "Input should be a form") from None
        return dict(pairs)
    raise HTTPException(415, "Send application/x-www-form-urlencoded or application/json")


async def _bytes(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > _MAX_BYTES:
            raise HTTPException(413, "Content too large")
        parts.append(part)
    return b"".join(parts)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def missing(name: str) -> RequestValidationError:
    """Build what says that a field of the body is not there."""
    return _invalid(name, "Field required")


def _invalid(name: str, message: str) -> RequestValidationError:
    """Build what FastAPI raises for a body that does not fit; the sent value is not in it."""
    place = ("body",) if name == "body" else ("body", name)
    return RequestValidationError([{"type": "value_error", "loc": place, "msg": message}])
