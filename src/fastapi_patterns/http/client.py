"""`HttpClient`: one `httpx2.AsyncClient` for one upstream, opened with the application and closed with it."""

import asyncio
import logging
import time
from collections.abc import Collection
from http.cookiejar import Cookie, DefaultCookiePolicy
from typing import Any, ClassVar, Self
from urllib.request import Request

import httpx2

from fastapi_patterns.context import current_request
from fastapi_patterns.exceptions import ConfigurationError, ExceptionMap, PatternsError
from fastapi_patterns.http._own import settings_of
from fastapi_patterns.http._responses import BoundedResponse, DeadlineStream, bound
from fastapi_patterns.http._retries import Budget, is_repeatable, wait_before
from fastapi_patterns.http.failures import CallDeadlineError, exception_map

__all__ = ["HttpClient"]

_log = logging.getLogger("fastapi_patterns.http")

_CLOSED = (
    "The HttpClient is not open. Pass it to install_stack(app, resources=[...]), "
    "or open it around its use with `async with`."
)
_OTHER_LOOP = (
    "The HttpClient was opened in another event loop, to which its connections belong. Open one in this loop, around "
    "its use: `async with HttpClient(...) as upstream`."
)


_DEFAULT = httpx2.USE_CLIENT_DEFAULT
# Where a request keeps the names of the headers that were added for the host it goes to.
_ADDED = "fastapi_patterns_added"


class _KeepsNoCookies(DefaultCookiePolicy):
    """One client serves all users: a cookie that one of them was sent must not go along with another's call."""

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        return False


class _Nowhere(httpx2.AsyncBaseTransport):
    """Nothing is sent with it: a client that has a transport makes no TLS context."""


class _Client(httpx2.AsyncClient):
    """The shared client: every call that is sent with it, in whatever way, passes `send`."""

    # False in tests, which do not wait before another attempt.
    waits: ClassVar[bool] = True
    upstream: "HttpClient"
    loop: asyncio.AbstractEventLoop
    # Builds the requests to other hosts: it is set to nothing.
    plain: httpx2.AsyncClient

    def build_request(self, method: str, url: httpx2.URL | str, **kwargs: Any) -> httpx2.Request:
        request = super().build_request(method, url, **kwargs)
        return self.plain.build_request(method, url, **kwargs) if self._is_elsewhere(request.url) else request

    def _is_elsewhere(self, url: httpx2.URL) -> bool:
        home = self.base_url
        return bool(home.netloc) and (url.netloc != home.netloc or url.scheme != home.scheme)

    async def send(self, request: httpx2.Request, *, stream: bool = False, **kwargs: Any) -> httpx2.Response:
        if self.is_closed:
            raise PatternsError(_CLOSED)
        loop = asyncio.get_running_loop()
        if loop is not self.loop:
            raise PatternsError(_OTHER_LOOP)
        if self._is_elsewhere(request.url) and kwargs.get("auth", _DEFAULT) is _DEFAULT:
            kwargs["auth"] = None
        call = _Call(self, request, loop.time() + self.upstream._deadline_s)
        timeout = asyncio.timeout_at(call.deadline)
        try:
            async with timeout:
                response = await call.send(stream, kwargs)
        except BaseException as error:
            if not (isinstance(error, TimeoutError) and timeout.expired()):
                call.note(error)
                raise
            late = CallDeadlineError("the call took too long", request=request)
            call.note(late)
            raise late from None
        if stream and not response.is_closed and isinstance(response.stream, httpx2.AsyncByteStream):
            response._note = call.note
            response.stream = DeadlineStream(response, response.stream, call.deadline, call.note)
        else:
            call.note(response)
        return response


class _Call:
    """One call, with the attempts that it takes."""

    def __init__(self, client: _Client, request: httpx2.Request, deadline: float) -> None:
        self._client = client
        self._upstream = client.upstream
        self._request = request
        self.deadline = deadline
        self._began = time.perf_counter()
        self._attempt = 0
        self._is_noted = False

    async def send(self, stream: bool, options: dict[str, Any]) -> BoundedResponse:
        budget = self._upstream._budget
        budget.earn()
        retries = self._upstream._retries if is_repeatable(self._request) else 0
        while True:
            self._attempt += 1
            outcome: BoundedResponse | httpx2.TransportError
            try:
                outcome = await self._send_once(stream, options)
            except httpx2.TransportError as error:
                outcome = error
            wait = wait_before(self._attempt, outcome) if self._attempt <= retries else None
            is_left = wait is not None and self._has_time_for(wait) and budget.spend()
            if wait is None or not is_left:
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome
            if isinstance(outcome, BoundedResponse):
                await outcome.aclose()
            if self._client.waits:
                await asyncio.sleep(wait)

    async def _send_once(self, stream: bool, options: dict[str, Any]) -> BoundedResponse:
        response = bound(
            await httpx2.AsyncClient.send(self._client, self._request, stream=True, **options),
            self._upstream._max_response_bytes,
        )
        if not stream:
            try:
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
        return response

    def _has_time_for(self, wait: float) -> bool:
        return asyncio.get_running_loop().time() + wait < self.deadline

    def note(self, outcome: httpx2.Response | BaseException) -> None:
        """Write the call's line, once: the first outcome is the call's."""
        if self._is_noted:
            return
        self._is_noted = True
        if isinstance(outcome, httpx2.Response):
            level = logging.WARNING if outcome.status_code >= 500 else logging.INFO
            shown = str(outcome.status_code)
        else:  # a call is cancelled from this side: no failure of the upstream's
            level = logging.INFO if isinstance(outcome, asyncio.CancelledError) else logging.WARNING
            shown = type(outcome).__name__
        if _log.isEnabledFor(level):
            self._write(level, shown)

    def _write(self, level: int, outcome: str) -> None:
        # No path and no query: the addresses of webhooks and of bots hold their secrets in them.
        seconds = time.perf_counter() - self._began
        name, method, attempts = self._upstream.name, self._request.method, self._attempt
        more = f", attempt {attempts}" if attempts > 1 else ""
        fields = {"upstream": name, "method": method, "outcome": outcome, "attempts": attempts}
        extra = {**fields, "duration_ms": round(seconds * 1000, 3)}
        _log.log(level, "Call to %s: %s - %.3fs %s%s", name, method, seconds, outcome, more, extra=extra)


class HttpClient:
    """One shared client for one upstream, whose calls are bounded: a resource of `install_stack`, and a dependency.

    `UpstreamDep = Annotated[httpx2.AsyncClient, Depends(upstream.client)]`. A client per request would be about twenty
    times slower: it builds a TLS context each time. Redirects are not followed, and cookies of responses are not kept:
    the client is shared by all users. Where a body is no JSON, `response.json()` raises an `httpx2.DecodingError`,
    which is a `json.JSONDecodeError` too. Each call is one line in the log, `fastapi_patterns.http`, with the name of
    the upstream, and without path, query or headers.

    A call to another scheme, host or port than that of `base_url` gets nothing that the client is set to: no `headers`,
    `auth`, `cookies` or `params`. Without a `base_url` there is no host of its own, and they go along everywhere.

    Args:
        base_url: What relative URLs are joined to, such as `"https://api.example/v1/"`.
        name: What log lines call the upstream; its host by default.
        timeout_s: Seconds for each of: connect, write, read, and the wait for a free connection.
        deadline_s: Seconds for a whole call, its retries and its body included; of a streamed body too.
        retries: How often a call is sent again after a network error, a timeout, or 429, 502, 503 or 504: 0 to 2. Only
            GET, HEAD, OPTIONS, PUT and DELETE are, `Retry-After` is honoured where the deadline allows, and at most a
            fifth of all calls are.
        max_concurrency: Connections, and so calls at the same time, but on HTTP/2; further ones wait `timeout_s`, half
            of the deadline at most, and are then answered with 503.
        max_response_bytes: The longest body that is read, decoded; 10 MiB by default.
        trusted_hosts: Hosts that may know the id of the request at hand, and its `traceparent`: your own services. None
            by default.
        request_id_header: The header for that id. A call's own headers win.
        client: A client of the application's own, which is used as it is set, its redirects too, and stays open; the
            limits here come on top. `base_url`, `timeout_s`, `max_concurrency` and more options are its own then.
        options: More arguments for `httpx2.AsyncClient`, such as `headers` or `transport`.

    Raises:
        ConfigurationError: A limit is not a positive number, `retries` is out of range, or `client` comes with options
            that would be ignored.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        name: str | None = None,
        timeout_s: float = 5.0,
        deadline_s: float = 10.0,
        retries: int = 2,
        max_concurrency: int = 100,
        max_response_bytes: int = 10 * 2**20,
        trusted_hosts: Collection[str] = (),
        request_id_header: str = "X-Request-ID",
        client: httpx2.AsyncClient | None = None,
        **options: Any,
    ) -> None:
        limits = {"timeout_s": timeout_s, "deadline_s": deadline_s, "max_concurrency": max_concurrency}
        for what, value in {**limits, "max_response_bytes": max_response_bytes}.items():
            if not 0 < value < float("inf"):
                raise ConfigurationError(f"{what} must be a positive, finite number; got {value}")
        if retries not in (0, 1, 2):
            raise ConfigurationError(f"retries must be 0, 1 or 2: more would be more load than help; got {retries}")
        if isinstance(trusted_hosts, str):
            raise ConfigurationError("trusted_hosts must be a list of hosts, such as ['users.internal']")
        if client is not None:
            if base_url or options:
                ignored = ["base_url"] * bool(base_url) + list(options)
                raise ConfigurationError(f"a client of your own has its own settings: leave out {', '.join(ignored)}")
            options = settings_of(client)
        self.name = name or httpx2.URL(options.get("base_url", base_url)).host or "http"
        self._deadline_s = deadline_s
        self._retries = retries
        self._max_response_bytes = max_response_bytes
        self._trusted = frozenset(host.lower() for host in trusted_hosts)
        self._request_id_header = request_id_header
        # A call that gets no connection says so before its deadline passes.
        timeout = httpx2.Timeout(timeout_s, pool=min(timeout_s, deadline_s / 2))
        pool = httpx2.Limits(max_connections=max_concurrency, max_keepalive_connections=min(max_concurrency, 20))
        self._options = {"base_url": base_url, "timeout": timeout, "limits": pool, **options}
        self._budget = Budget()
        self._client: _Client | None = None

    async def client(self) -> httpx2.AsyncClient:
        """Return the shared client: for `Depends(upstream.client)`, or `await upstream.client()` in a task.

        Raises:
            PatternsError: The application has not opened it, or has closed it.
        """
        if self._client is None:
            raise PatternsError(_CLOSED)
        return self._client

    def exception_map(self) -> ExceptionMap:
        """Give the answers to this room's failures; `install_stack` asks for it."""
        return exception_map()

    async def __aenter__(self) -> Self:
        """Open the client."""
        if self._client is not None:
            raise PatternsError("The HttpClient is open already.")
        client = _Client(**self._options)
        client.plain = httpx2.AsyncClient(timeout=client.timeout, transport=_Nowhere(), trust_env=False)
        client.cookies.jar.set_policy(_KeepsNoCookies())
        if self._trusted:
            client.event_hooks["request"].insert(0, self._let_the_request_go_along)
        client.upstream = self
        client.loop = asyncio.get_running_loop()
        self._client = client
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the client and its connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _let_the_request_go_along(self, request: httpx2.Request) -> None:
        if request.url.host.lower() not in self._trusted:
            for name in request.extensions.pop(_ADDED, ()):  # a redirect brought them here
                request.headers.pop(name, None)
            return
        served = current_request()
        if served is not None:
            # Where OpenTelemetry is at work, it has written its own traceparent.
            along = {self._request_id_header: served.request_id, "traceparent": served.traceparent}
            added = {name: value for name, value in along.items() if value is not None and name not in request.headers}
            request.headers.update(added)
            request.extensions[_ADDED] = [*request.extensions.get(_ADDED, ()), *added]

    def __repr__(self) -> str:
        return f"HttpClient({httpx2.URL(self._options['base_url'])!r})"  # URL's repr hides a password
