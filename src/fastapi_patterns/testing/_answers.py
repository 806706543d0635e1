"""What a client gets from `mock_http`: a response as it comes from the network, or an exception, of its own classes."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import httpx2

__all__ = ["Asked", "Reply", "failure", "from_handler", "written"]


class Asked(NamedTuple):
    """A request, and who made it.

    Attributes:
        request: Of the family's class.
        family: The package of the client: httpx2, or httpx.
        is_async: Whether the client can await an answer.
    """

    request: Any
    family: ModuleType
    is_async: bool


Reply = Callable[[Asked], Any]

_FAMILIES = ("httpx2", "httpx")


def written(status: int, headers: Any, body: Mapping[str, Any]) -> Reply:
    """Make what gives a response that is written down: one of `json`, `text` and `content`, or no body.

    Raises:
        ValueError: It can be none.
        TypeError: Its body is of the wrong type.
    """
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise ValueError(f"status must be between 200 and 599; got {status!r:.60}")
    if len(body) > 1:
        raise ValueError(f"a response has one body; got {' and '.join(body)}")
    for name, kind in (("text", str), ("content", bytes)):
        if name in body and not isinstance(body[name], kind):
            raise TypeError(f"{name} must be {kind.__name__}; got {type(body[name]).__name__}")
    # Without the headers, which may name an encoding that the body is not in: that is for the client to find.
    model = httpx2.Response(status, **body)
    content = _raw(model)
    all_headers = httpx2.Headers(headers)
    for name, value in model.headers.items():
        all_headers.setdefault(name, value)
    if body.get("json", ...) is None:  # null, which httpx2 takes for no body
        content = b"null"
        all_headers.update({"Content-Length": "4", "Content-Type": "application/json"})
    return lambda asked: _received(asked, status, all_headers.raw, content)


def failure(exception: Any) -> Reply:
    """Make what raises an exception: one of httpx2's or httpx's in the family of the client that called.

    Raises:
        TypeError: It is no exception, or one that cannot be made from what is there.
        ValueError: It is what `raise_for_status` raises.
    """
    kind = exception if isinstance(exception, type) else type(exception)
    if not issubclass(kind, Exception):
        raise TypeError(f"exception must be an exception, such as httpx2.ConnectTimeout; got {exception!r:.60}")
    if kind.__module__ in _FAMILIES and kind.__name__ == "HTTPStatusError":
        raise ValueError("HTTPStatusError comes from response.raise_for_status(): use status=503")

    def make(family: ModuleType) -> Exception:
        if kind.__module__ in _FAMILIES:
            text = "raised by mock_http" if exception is kind else str(exception)
            made: Exception = getattr(family, kind.__name__, kind)(text)
            return made
        instance: Exception = kind() if isinstance(exception, type) else exception
        return instance

    def raising(asked: Asked) -> Any:
        raise make(asked.family)

    try:
        make(httpx2)
    except TypeError as error:
        raise TypeError(f"{kind.__name__} cannot be made ({error}): raise it in a function, handler=...") from None
    return raising


def from_handler(handler: Callable[[Any], Any]) -> Reply:
    """Make what gives the response that a function, sync or async, returns for a request.

    Raises:
        TypeError: It is no function.
    """
    if not callable(handler):
        raise TypeError(f"handler must be a function of the request; got {type(handler).__name__}")

    async def awaited(answer: Awaitable[Any], asked: Asked) -> Any:
        return _handled(await answer, asked)

    def reply(asked: Asked) -> Any:
        answer = handler(asked.request)
        if not inspect.isawaitable(answer):
            return _handled(answer, asked)
        if asked.is_async:
            return awaited(answer, asked)
        if inspect.iscoroutine(answer):
            answer.close()
        raise TypeError("an async handler of mock_http cannot answer a sync client: make it a plain function")

    return reply


def _handled(answer: Any, asked: Asked) -> Any:
    if not isinstance(answer, (httpx2.Response, asked.family.Response)):
        raise TypeError(f"a handler of mock_http must return an httpx2.Response; got {type(answer).__name__}")
    if isinstance(answer, asked.family.Response) and not isinstance(answer.stream, asked.family.ByteStream):
        return answer  # a stream of the test's own
    return _received(asked, answer.status_code, answer.headers.raw, _raw(answer))


def _received(asked: Asked, status: int, headers: Any, content: bytes) -> Any:
    """Make a response that the client has not read yet, as from the network: streaming reads it, and once."""
    # A HEAD has the headers of the GET, and no body (RFC 9110 section 9.3.2).
    stream = asked.family.ByteStream(b"" if asked.request.method == "HEAD" else content)
    return asked.family.Response(status, headers=headers, stream=stream, extensions={"http_version": b"HTTP/1.1"})


def _raw(response: Any) -> bytes:
    return b"".join(response.stream)
