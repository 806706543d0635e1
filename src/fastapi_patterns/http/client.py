"""`HttpClient`: one `httpx2.AsyncClient`, opened with the application and closed with it."""

import json
from typing import Any, Self

import httpx2

from fastapi_patterns.context import current_request
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo, ExceptionMap, PatternsError

__all__ = ["HttpClient", "exception_map"]

_TIMEOUT = ErrorInfo(status=504, detail="Another service did not answer in time")
_BUSY = ErrorInfo(status=503, detail="Too many calls to another service", headers={"Retry-After": "1"})
_FAILED = ErrorInfo(status=502, detail="Another service failed")


def exception_map() -> ExceptionMap:
    """Map httpx2's failures to answers, for `install_error_handlers` or `install_stack`.

    HTTP:
        A timeout: 504. No free connection in time: 503 with `Retry-After`. A network or protocol error, and an
        upstream's 4xx or 5xx after `response.raise_for_status()`: 502; so is a body that is no JSON, where the response
        came from an `HttpClient`. An upstream's 401 is never forwarded.
    """
    return {httpx2.PoolTimeout: _BUSY, httpx2.TimeoutException: _TIMEOUT, httpx2.HTTPError: _FAILED}


class _NotJSONError(httpx2.DecodingError, json.JSONDecodeError):
    """A body that should be JSON and is not: httpx2's failure, and the error that `response.json()` always raised."""

    def __init__(self, msg: str, doc: str, pos: int) -> None:
        json.JSONDecodeError.__init__(self, msg, doc, pos)


class _Response(httpx2.Response):
    def json(self, **kwargs: Any) -> Any:
        try:
            return super().json(**kwargs)
        except (ValueError, RecursionError) as error:
            # A JSONDecodeError, bytes in no encoding, or arrays nested without end: the upstream's mistake, each.
            broken = _NotJSONError("the body is not JSON", "", getattr(error, "pos", 0))
            broken.request = self.request
            raise broken from None  # the cause holds the body, which may be personal data


class _Client(httpx2.AsyncClient):
    request_id_header: str | None = None

    async def send(self, request: httpx2.Request, **kwargs: Any) -> httpx2.Response:
        served = current_request()
        if served is not None and self.request_id_header is not None:
            request.headers.setdefault(self.request_id_header, served.request_id)
            if served.traceparent is not None:  # where OpenTelemetry is at work, it has written its own
                request.headers.setdefault("traceparent", served.traceparent)
        response = await super().send(request, **kwargs)
        response.__class__ = _Response  # the client has no option for the class of its responses
        return response


class HttpClient:
    """One shared client for one upstream: a resource of `install_stack`, and a dependency.

    `UpstreamDep = Annotated[httpx2.AsyncClient, Depends(upstream.client)]`. A client per request would be about twenty
    times slower: it builds a TLS context each time. Redirects are not followed. Where a body is no JSON,
    `response.json()` raises an `httpx2.DecodingError`, which is a `json.JSONDecodeError` too.

    Args:
        base_url: What relative URLs are joined to, such as `"https://api.example/v1/"`.
        timeout_s: Seconds for each of: connect, write, read, and the wait for a free connection.
        request_id_header: Takes the id of the request at hand along, and its `traceparent`; None where the upstream
            should not see them. A call's own headers win.
        options: More arguments for `httpx2.AsyncClient`, such as `headers` or `transport`.

    Raises:
        ConfigurationError: `timeout_s` is not a positive number.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        timeout_s: float = 5.0,
        request_id_header: str | None = "X-Request-ID",
        **options: Any,
    ) -> None:
        if not 0 < timeout_s < float("inf"):
            raise ConfigurationError(f"timeout_s must be a positive, finite number of seconds; got {timeout_s}")
        self._request_id_header = request_id_header
        self._options = {"base_url": base_url, "timeout": timeout_s, **options}
        self._client: httpx2.AsyncClient | None = None

    async def client(self) -> httpx2.AsyncClient:
        """Return the shared client: for `Depends(upstream.client)`, or `await upstream.client()` in a task.

        Raises:
            PatternsError: The application has not opened it, or has closed it.
        """
        if self._client is None:
            raise PatternsError(
                "The HttpClient is not open. Pass it to install_stack(app, resources=[...]), "
                "or open it around its use with `async with`."
            )
        return self._client

    def exception_map(self) -> ExceptionMap:
        """Give the answers to this room's failures; `install_stack` asks for it."""
        return exception_map()

    async def __aenter__(self) -> Self:
        """Open the client."""
        if self._client is not None:
            raise PatternsError("The HttpClient is open already.")
        client = _Client(**self._options)
        client.request_id_header = self._request_id_header
        self._client = client
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the client and its connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def __repr__(self) -> str:
        return f"HttpClient({httpx2.URL(self._options['base_url'])!r})"  # URL's repr hides a password
