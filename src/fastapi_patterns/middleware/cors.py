"""CORS over Starlette's own middleware, with the settings checked before they are used."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["cors_options", "install_cors"]

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.IGNORECASE)
_EXPOSED = ("X-Request-ID",)


def install_cors(
    app: Starlette,
    *,
    allow_origins: Sequence[object],
    allow_credentials: bool = False,
    allow_methods: Sequence[str] = ("*",),
    allow_headers: Sequence[str] = ("Authorization", "Content-Type", "X-Request-ID"),
    expose_headers: Sequence[str] = _EXPOSED,
    max_age_s: int = 600,
) -> None:
    """Let browsers at these origins call the application.

    Args:
        app: The application; the middleware is added as its outermost one so far. With `install_stack`, pass
            `allow_origins` there instead.
        allow_origins: Origins such as `"https://app.example"` or `"http://localhost:5173"`; pydantic URLs are
            accepted, their trailing slash is dropped. `["*"]` allows any site, without credentials.
        allow_credentials: Let browsers send cookies and HTTP authentication.
        allow_methods: Allowed methods; all by default, since the origin is what decides.
        allow_headers: Request headers that scripts may send.
        expose_headers: Response headers that scripts may read.
        max_age_s: Seconds for which a browser may keep a preflight's answer.

    Raises:
        ConfigurationError: A wildcard or `null` together with credentials, a plain string, or an origin with a path.
    """
    options = cors_options(
        allow_origins=allow_origins,
        allow_credentials=allow_credentials,
        allow_methods=allow_methods,
        allow_headers=allow_headers,
        expose_headers=expose_headers,
        max_age_s=max_age_s,
    )
    app.add_middleware(CORSMiddleware, **options)


def cors_options(
    *,
    allow_origins: Sequence[object],
    allow_credentials: bool = False,
    allow_methods: Sequence[str] = ("*",),
    allow_headers: Sequence[str] = ("Authorization", "Content-Type", "X-Request-ID"),
    expose_headers: Sequence[str] = _EXPOSED,
    max_age_s: int = 600,
) -> Mapping[str, Any]:
    """Check the arguments of `install_cors` and turn them into those of Starlette's middleware.

    Raises:
        ConfigurationError: As `install_cors`.
    """
    lists: dict[str, object] = {
        "allow_origins": allow_origins,
        "allow_methods": allow_methods,
        "allow_headers": allow_headers,
        "expose_headers": expose_headers,
    }
    for name, given in lists.items():
        if isinstance(given, (str, bytes)):
            # Starlette tests `origin in allow_origins`: in a string that finds substrings.
            raise ConfigurationError(f"{name} must be a list, such as [{given!r}]; got a plain string")
    origins = [_origin(origin) for origin in allow_origins]
    if allow_credentials and "*" in origins:
        raise ConfigurationError(
            "allow_origins=['*'] with allow_credentials=True would let every website act as the user. "
            "List the origins, such as allow_origins=['https://app.example']."
        )
    if allow_credentials and "null" in origins:
        raise ConfigurationError("allow_origins must not hold 'null' with credentials: any sandboxed page has it")
    return {
        "allow_origins": origins,
        "allow_credentials": allow_credentials,
        "allow_methods": list(allow_methods),
        "allow_headers": list(allow_headers),
        "expose_headers": list(expose_headers),
        "max_age": max_age_s,
    }


def _origin(given: object) -> str:
    text = str(given)
    if text in ("*", "null"):
        return text
    origin = text.removesuffix("/")
    if not _ORIGIN.fullmatch(origin):
        raise ConfigurationError(
            f"allow_origins: an origin is scheme://host or scheme://host:port, without a path; got {text!r}"
        )
    return origin.lower()  # browsers send scheme and host in lower case
