"""CORS over Starlette's own middleware, with the settings checked before they are used."""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import AnyUrl, ValidationError
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Message, Receive, Scope, Send

from fastapi_patterns.exceptions import ConfigurationError, ConfigurationWarning
from fastapi_patterns.middleware._origin_regex import lets_strangers_in, slips, wildcard_to_regex

__all__ = ["ALLOWED", "BESIDE_THE_STACK", "CorsMiddleware", "check_lists", "cors_options", "install_cors"]

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}  # browsers leave them out: RFC 6454, section 6.2
ALLOWED = ("Authorization", "Content-Type", "X-CSRF-Token")
_EXPOSED = ("X-Request-ID",)
BESIDE_THE_STACK = (
    "with the stack, CORS stands outside the layer that answers errors; pass allow_origins, allow_headers and so on to "
    "install_stack(app, ...)"
)


class CorsMiddleware(CORSMiddleware):
    """Starlette's, with a short way for requests without an `Origin`: other services', and most of a site's own.

    They get `Vary: Origin`, as Starlette gives it, so that no cache hands their answer to a browser elsewhere.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        for name, _ in scope["headers"]:
            if name == b"origin":
                await super().__call__(scope, receive, send)
                return

        async def with_vary(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _varied(message.get("headers", ()))
            await send(message)

        await self.app(scope, receive, with_vary)


def install_cors(
    app: Starlette,
    *,
    allow_origins: Sequence[object] = (),
    allow_origin_regex: str | None = None,
    allow_credentials: bool = False,
    allow_methods: Sequence[str] = ("*",),
    allow_headers: Sequence[str] = (*ALLOWED, "X-Request-ID"),
    expose_headers: Sequence[str] = _EXPOSED,
    max_age_s: int = 600,
) -> None:
    r"""Let browsers at these origins call the application.

    Origins are written as browsers send them: capitals become small, a trailing slash and the port that is the
    scheme's own (`https://app.example:443`) are dropped, since they name the same origin. A host with letters outside
    ASCII is refused, and the message shows what to write: two names that look alike would be two origins.

    Args:
        app: The application; the middleware is added as its outermost one so far. With `install_stack`, pass the
            origins and headers there instead.
        allow_origins: Origins such as `"https://app.example"` or `"http://localhost:5173"`; pydantic URLs, as a
            settings object has them, are accepted. `["*"]` allows any site, without credentials.
        allow_origin_regex: A regular expression that the whole origin must match, beside the listed ones:
            `r"https://[a-z0-9-]+\.preview\.example"`.
        allow_credentials: Let browsers send cookies and HTTP authentication.
        allow_methods: Allowed methods; all by default, since the origin is what decides.
        allow_headers: Request headers that scripts may send.
        expose_headers: Response headers that scripts may read.
        max_age_s: Seconds for which a browser may keep a preflight's answer.

    Raises:
        ConfigurationError: No origin at all; a wildcard, `null` or a regex that strangers' origins match, together
            with credentials; a plain string for a list; an origin with a path or with `*` inside; a regex that does
            not compile; a `max_age_s` that is no number of seconds; an application with `install_stack`.

    Warns:
        ConfigurationWarning: A regex lets in more than it seems to, by a dot that is not escaped, or by `.*` before
            a letter: `https://.*example.com` matches `https://evilexample.com`. The message shows what to write.
    """
    if getattr(app.state, "fastapi_patterns", None) is not None:
        raise ConfigurationError(f"install_stack(app) was called before: {BESIDE_THE_STACK}")
    options = cors_options(
        allow_origins=allow_origins,
        allow_origin_regex=allow_origin_regex,
        allow_credentials=allow_credentials,
        allow_methods=allow_methods,
        allow_headers=allow_headers,
        expose_headers=expose_headers,
        max_age_s=max_age_s,
    )
    app.add_middleware(CorsMiddleware, **options)


def cors_options(
    *,
    allow_origins: Sequence[object] = (),
    allow_origin_regex: str | None = None,
    allow_credentials: bool = False,
    allow_methods: Sequence[str] = ("*",),
    allow_headers: Sequence[str] = (*ALLOWED, "X-Request-ID"),
    expose_headers: Sequence[str] = _EXPOSED,
    max_age_s: int = 600,
) -> Mapping[str, Any]:
    """Check the arguments of `install_cors` and turn them into those of Starlette's middleware.

    Raises:
        ConfigurationError: As `install_cors`.

    Warns:
        ConfigurationWarning: As `install_cors`; at the line that called this function's caller.
    """
    check_lists(
        allow_origins=allow_origins,
        allow_methods=allow_methods,
        allow_headers=allow_headers,
        expose_headers=expose_headers,
    )
    if not isinstance(allow_credentials, bool):  # the text "false" from an environment would be true
        raise ConfigurationError(f"allow_credentials must be True or False; got {allow_credentials!r}")
    if isinstance(max_age_s, bool) or not isinstance(max_age_s, int) or max_age_s < 0:
        raise ConfigurationError(f"max_age_s must be a whole number of seconds, 0 or more; got {max_age_s!r}")
    origins = [_origin(origin) for origin in allow_origins]
    if not origins and allow_origin_regex is None:
        raise ConfigurationError("allow_origins is empty and there is no allow_origin_regex: nobody would be allowed")
    if allow_credentials and "*" in origins:
        raise ConfigurationError(
            "allow_origins=['*'] with allow_credentials=True would let every website act as the user. "
            "List the origins, such as allow_origins=['https://app.example']."
        )
    if allow_credentials and "null" in origins:
        raise ConfigurationError("allow_origins must not hold 'null' with credentials: any sandboxed page has it")
    if allow_origin_regex is not None:
        _check_regex(allow_origin_regex, allow_credentials)
        found, safer = slips(allow_origin_regex)
        if found:
            warnings.warn(
                f"allow_origin_regex {allow_origin_regex!r}: {'; '.join(found)}. Write r'{safer}'",
                ConfigurationWarning,
                stacklevel=3,
            )
    return {
        "allow_origins": origins,
        "allow_origin_regex": allow_origin_regex,
        "allow_credentials": allow_credentials,
        "allow_methods": list(allow_methods),
        "allow_headers": list(allow_headers),
        "expose_headers": list(expose_headers),
        "max_age": max_age_s,
    }


def check_lists(**lists: object) -> None:
    """Refuse a plain string where a list is asked for."""
    for name, given in lists.items():
        if isinstance(given, (str, bytes)):
            # Starlette tests `origin in allow_origins`: in a string that finds substrings.
            raise ConfigurationError(f"{name} must be a list, such as [{given!r}]; got a plain string")
        if not isinstance(given, Iterable):
            raise ConfigurationError(f"{name} must be a list; got {given!r}")


def _origin(given: object) -> str:
    text = str(given)
    if text in ("*", "null"):
        return text
    origin = text.removesuffix("/")
    matched = _ORIGIN.fullmatch(origin)
    if matched is None:
        raise ConfigurationError(f"allow_origins: {_what_is_wrong(origin)}; got {text!r}")
    scheme, host, port = matched[1].lower(), matched[2].lower(), matched[3]  # browsers send small letters
    if port is None or int(port) == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    if not 1 <= int(port) <= 65535:
        raise ConfigurationError(f"allow_origins: a port is a number from 1 to 65535; got {text!r}")
    return f"{scheme}://{host}:{int(port)}"


def _what_is_wrong(origin: str) -> str:
    if re.fullmatch(r"[a-z]+://\*", origin):
        return "origins are scheme://host, compared as a whole, so this never matches; any site at all is '*'"
    if "*" in origin:
        return (
            "origins are compared as a whole, so a '*' inside one never matches; "
            f"write allow_origin_regex=r'{wildcard_to_regex(origin)}' instead"
        )
    if not origin.isascii():
        return f"browsers send a host in its ASCII form{_ascii_form(origin)}"
    return "an origin is scheme://host or scheme://host:port, without a path"


def _ascii_form(origin: str) -> str:
    try:
        return f": write {str(AnyUrl(origin)).removesuffix('/')!r}"
    except ValidationError:
        return ""


def _check_regex(given: object, allow_credentials: bool) -> None:
    if not isinstance(given, str) or not given:
        raise ConfigurationError(f"allow_origin_regex must be a regular expression as a string, or None; got {given!r}")
    try:
        pattern = re.compile(given)
    except re.error as error:
        raise ConfigurationError(f"allow_origin_regex {given!r} is no regular expression: {error}") from None
    if given.endswith("/"):
        raise ConfigurationError(f"allow_origin_regex {given!r} never matches: an origin does not end with a slash")
    stranger = lets_strangers_in(pattern) if allow_credentials else None
    if stranger is not None:
        raise ConfigurationError(
            f"allow_origin_regex {given!r} with allow_credentials=True would let strangers' websites act as the user: "
            f"it matches {stranger!r}. Name your own domain in it, such as r'https://[a-z0-9-]+\\.app\\.example'."
        )


def _varied(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    varied = list(headers)
    for index, (name, value) in enumerate(varied):
        if name == b"vary":
            varied[index] = (name, value + b", Origin")
            return varied
    varied.append((b"vary", b"Origin"))
    return varied
