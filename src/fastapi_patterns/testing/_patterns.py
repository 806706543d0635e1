"""Which calls an answer of `mock_http` is for, and how a URL may be shown."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from fastapi_patterns.middleware._redact import HIDDEN

__all__ = ["Pattern", "shown_url"]

_METHOD = re.compile(r"[A-Za-z]+(-[A-Za-z]+)*")


class Pattern:
    """The calls of one method to one URL, or to those that a regular expression matches.

    Args:
        method: Of the request.
        url: The whole URL, or a compiled regular expression for its beginning.
        params: What the query must hold, beside what else it has.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: It can match no call.
    """

    def __init__(self, method: str, url: str | re.Pattern[str], params: Mapping[str, Any] | None) -> None:
        if not isinstance(method, str) or not _METHOD.fullmatch(method):
            raise ValueError(
                f"the first argument must be a method such as 'GET', the second the URL; got {method!r:.60}"
            )
        if params is not None and not isinstance(params, Mapping):
            raise TypeError(f"params must be a dict, such as {{'q': 'text'}}; got {type(params).__name__}")
        self._method = method.upper()
        self._params = httpx2.QueryParams(params)
        self._is_address: Callable[[httpx2.URL], bool]
        if isinstance(url, re.Pattern):
            self._is_address, self._shown = _matching(url), f"re.compile({url.pattern!r})"
        else:
            whole = _whole(url)
            if whole.query and params is not None:
                raise ValueError("the query must be in url or in params; it is in both")
            self._is_address, self._shown = _same_as(whole), shown_url(whole)

    def matches(self, method: str, url: httpx2.URL) -> bool:
        """Tell whether a call is one of them."""
        found = url.params
        return (
            method == self._method
            and all(found.get_list(name) == self._params.get_list(name) for name in self._params)
            and self._is_address(url)
        )

    def __str__(self) -> str:
        names = f" with {', '.join(self._params)} in the query" if self._params else ""
        return f"{self._method} {self._shown}{names}"


def shown_url(url: httpx2.URL) -> str:
    """Show a URL without what may be secret: no user, no password, and no values of the query."""
    names = "&".join(f"{name}={HIDDEN}" for name, _ in url.params.multi_items())
    shown = _without_user(url).copy_with(query=None, fragment=None)
    return f"{shown}?{names}" if names else str(shown)


def _whole(url: Any) -> httpx2.URL:
    if not isinstance(url, str):
        raise TypeError(f"url must be a str or a compiled regular expression; got {type(url).__name__}")
    try:
        whole = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ValueError(f"url must be a URL: {error}") from None
    if whole.scheme not in ("http", "https") or not whole.host:
        raise ValueError(f"url must be the whole URL, such as 'https://api.example/v1/users'; got {shown_url(whole)!r}")
    if whole.userinfo:
        raise ValueError(f"url must be without a user and a password; got one of {whole.host}")
    return whole


def _same_as(whole: httpx2.URL) -> Callable[[httpx2.URL], bool]:
    address, query = _address(whole), sorted(whole.params.multi_items())
    if not query:
        return lambda url: _address(url) == address
    return lambda url: _address(url) == address and sorted(url.params.multi_items()) == query


def _matching(regex: re.Pattern[str]) -> Callable[[httpx2.URL], bool]:
    if not isinstance(regex.pattern, str):
        raise TypeError("url must be a str or a regular expression for one; got a regular expression for bytes")
    return lambda url: regex.match(str(_without_user(url))) is not None


def _address(url: httpx2.URL) -> tuple[object, ...]:
    return url.scheme, url.host, url.port, url.raw_path.partition(b"?")[0]


def _without_user(url: httpx2.URL) -> httpx2.URL:
    return url.copy_with(username=None, password=None) if url.userinfo else url
