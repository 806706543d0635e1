"""What bounds a call: retries with their budget, deadline, size, loops, cookies; and its line in the log."""

import asyncio
import contextlib
import gzip
import logging
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest

from fastapi_patterns import ConfigurationError, HttpClient, PatternsError
from fastapi_patterns.http import CallDeadlineError, ResponseTooLargeError
from fastapi_patterns.http._retries import Budget, wait_before
from fastapi_patterns.http.client import _Client

Answer = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture(autouse=True)
def do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time between attempts is tested where it is chosen."""
    monkeypatch.setattr(_Client, "waits", False)


class Upstream:
    """An upstream that answers in turn; the last answer is given again.

    Args:
        answers: Statuses, responses, or classes of exceptions.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, type):
            raise answer("secret", request=request)
        return answer if isinstance(answer, httpx2.Response) else httpx2.Response(answer)


def call(answer: Any, what: Callable[[httpx2.AsyncClient], Awaitable[Any]], **options: Any) -> Any:
    """Do something with a client for this upstream."""

    async def main() -> Any:
        transport = httpx2.MockTransport(answer)
        async with HttpClient("http://upstream", transport=transport, **options) as upstream:
            return await what(await upstream.client())

    return asyncio.run(main())


@pytest.mark.parametrize(
    "failure",
    [httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ReadError, httpx2.ReadTimeout, httpx2.RemoteProtocolError,
     429, 502, 503, 504],
)  # fmt: skip
def test_an_idempotent_call_is_sent_again(failure: Any) -> None:
    """Twice at the most; the second answer is the call's."""
    upstream = Upstream(failure, 200)
    assert call(upstream, lambda client: client.get("/")).status_code == 200
    assert len(upstream.asked) == 2
    upstream = Upstream(failure)
    if isinstance(failure, int):
        assert call(upstream, lambda client: client.get("/")).status_code == failure
    else:
        with pytest.raises(failure):
            call(upstream, lambda client: client.get("/"))
    assert len(upstream.asked) == 3


@pytest.mark.parametrize(("method", "attempts"), [("GET", 3), ("PUT", 3), ("DELETE", 3), ("POST", 1), ("PATCH", 1)])
def test_only_idempotent_methods_are_sent_again(method: str, attempts: int) -> None:
    """RFC 9110 section 9.2.2; a body that is still there goes along."""
    upstream = Upstream(503)
    call(upstream, lambda client: client.request(method, "/", json={"a": 1}))
    assert len(upstream.asked) == attempts
    assert {request.content for request in upstream.asked} == {b'{"a":1}'}


@pytest.mark.parametrize("failure", [httpx2.PoolTimeout, httpx2.UnsupportedProtocol, httpx2.ProxyError, 500, 401, 404])
def test_what_another_attempt_would_not_mend_is_not_sent_again(failure: Any) -> None:
    """A full pool, a mistake in the call, an answer."""
    upstream = Upstream(failure)
    if isinstance(failure, int):
        assert call(upstream, lambda client: client.get("/")).status_code == failure
    else:
        with pytest.raises(failure):
            call(upstream, lambda client: client.get("/"))
    assert len(upstream.asked) == 1


def test_a_body_that_is_streamed_is_sent_once() -> None:
    """It is not there a second time."""

    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    async def put(client: httpx2.AsyncClient) -> httpx2.Response:
        return await client.put("/", content=body())

    upstream = Upstream(503)
    assert call(upstream, put).status_code == 503
    assert len(upstream.asked) == 1


def test_retries_may_be_off() -> None:
    """And not more than two."""
    upstream = Upstream(503)
    call(upstream, lambda client: client.get("/"), retries=0)
    assert len(upstream.asked) == 1
    with pytest.raises(ConfigurationError, match="retries must be 0, 1 or 2"):
        HttpClient(retries=3)


def test_retries_have_a_budget() -> None:
    """An upstream that is down gets its calls, ten more, and then one more for every five."""
    upstream = Upstream(503)

    async def many(client: httpx2.AsyncClient) -> None:
        for _ in range(100):
            await client.get("/")

    call(upstream, many)
    assert 100 + 10 + 20 - 2 <= len(upstream.asked) <= 100 + 10 + 20
    budget = Budget()
    for _ in range(1000):
        budget.earn()
    assert sum(budget.spend() for _ in range(100)) == 10


def test_the_wait_between_attempts() -> None:
    """Full jitter below 0.2, then 0.4 seconds; `Retry-After` as seconds or as a date; nonsense in it is no number."""
    error = httpx2.ConnectError("", request=httpx2.Request("GET", "http://upstream"))
    for attempt, longest in ((1, 0.2), (2, 0.4)):
        waits = [wait_before(attempt, error) or 0.0 for _ in range(200)]
        assert 0 <= min(waits) < longest / 4
        assert longest * 3 / 4 < max(waits) <= longest

    def asked(value: str) -> float | None:
        return wait_before(1, httpx2.Response(429, headers={"Retry-After": value}))

    assert asked("7") == 7
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 27 < (asked(soon) or 0) <= 30
    assert asked(format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)) == 0
    assert asked("Wed, 21 Oct 2099 07:28:00") > 10**9  # type: ignore[operator]
    for nonsense in ("", "soon", "-1", "1.5"):
        assert (asked(nonsense) or 0) <= 0.2
    assert asked("9" * 400) == 999_999_999


def test_a_wait_that_the_deadline_does_not_allow_is_none() -> None:
    """The upstream's own answer is the call's."""
    upstream = Upstream(httpx2.Response(503, headers={"Retry-After": "3600"}))
    assert call(upstream, lambda client: client.get("/")).status_code == 503
    assert len(upstream.asked) == 1


class Trickle(httpx2.AsyncByteStream):
    """A body that does not end."""

    def __init__(self) -> None:
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    async def aclose(self) -> None:
        self.closed = True


def test_a_deadline_is_for_the_whole_call() -> None:
    """Each byte is in time and the body is not; a streamed body has the same deadline. Both are closed."""
    body = Trickle()
    with pytest.raises(CallDeadlineError, match="the call took too long"):
        call(lambda _: httpx2.Response(200, stream=body), lambda client: client.get("/"), deadline_s=0.1)
    assert body.closed
    streamed = Trickle()

    async def read(client: httpx2.AsyncClient) -> None:
        async with client.stream("GET", "/") as response:
            async for _ in response.aiter_bytes():
                pass

    with pytest.raises(CallDeadlineError, match="the body took too long"):
        call(lambda _: httpx2.Response(200, stream=streamed), read, deadline_s=0.1)
    assert streamed.closed


def test_a_timeout_of_the_callers_own_is_the_callers() -> None:
    """It is no deadline of ours, in the call and in a streamed body."""

    async def impatient(client: httpx2.AsyncClient) -> None:
        async with asyncio.timeout(0.05):
            await client.get("/")

    async def impatient_reader(client: httpx2.AsyncClient) -> None:
        async with client.stream("GET", "/") as response, asyncio.timeout(0.05):
            await response.aread()

    async def raising() -> AsyncIterator[bytes]:
        yield b"x"
        raise TimeoutError("its own")

    async def reader(client: httpx2.AsyncClient) -> None:
        async with client.stream("GET", "/") as response:
            await response.aread()

    for what in (impatient, impatient_reader):
        with pytest.raises(TimeoutError) as raised:
            call(lambda _: httpx2.Response(200, stream=Trickle()), what)
        assert not isinstance(raised.value, httpx2.TimeoutException)
    with pytest.raises(TimeoutError, match="its own"):
        call(lambda _: httpx2.Response(200, content=raising()), reader)


@pytest.mark.parametrize("encoded", [False, True])
def test_a_body_has_a_size(encoded: bool) -> None:
    """What is counted is the decoded body: a small one that unpacks to a large one is refused."""
    large = b"0" * 100_000
    content = gzip.compress(large) if encoded else large
    headers = {"Content-Encoding": "gzip"} if encoded else {}

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=headers, content=chunks())

    assert len(call(answer, lambda client: client.get("/")).content) == 100_000
    assert len(call(answer, lambda client: client.get("/"), max_response_bytes=100_000).content) == 100_000
    with pytest.raises(ResponseTooLargeError, match="more than 99999 bytes"):
        call(answer, lambda client: client.get("/"), max_response_bytes=99_999)


def test_cookies_of_one_call_do_not_go_along_with_another() -> None:
    """One client serves all users; cookies of the call's own are sent."""
    upstream = Upstream(httpx2.Response(200, headers={"Set-Cookie": "session=ada"}))

    async def two(client: httpx2.AsyncClient) -> httpx2.Response:
        first = await client.get("/")
        await client.get("/", headers={"Cookie": "own=1"})
        return first

    assert call(upstream, two).cookies["session"] == "ada"
    assert [request.headers.get("cookie") for request in upstream.asked] == [None, "own=1"]


def test_redirects_are_not_followed() -> None:
    """An upstream cannot send the call to another address."""
    upstream = Upstream(httpx2.Response(302, headers={"Location": "http://169.254.169.254/"}))
    assert call(upstream, lambda client: client.get("/")).status_code == 302
    assert [request.url.host for request in upstream.asked] == ["upstream"]


def test_a_client_that_was_kept_says_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """Used after the shutdown, and in another event loop."""

    async def keep() -> httpx2.AsyncClient:
        async with HttpClient("http://upstream") as upstream:
            return await upstream.client()

    kept = asyncio.run(keep())

    async def use(client: httpx2.AsyncClient) -> None:
        await client.get("/")

    with pytest.raises(PatternsError, match=r"not open. Pass it to install_stack"):
        asyncio.run(use(kept))

    async def in_a_thread(client: httpx2.AsyncClient) -> None:
        await asyncio.to_thread(asyncio.run, use(client))

    with pytest.raises(PatternsError, match="opened in another event loop"):
        call(Upstream(200), in_a_thread)


def test_each_call_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Name, method, time, outcome, attempts: and nothing of path, query, headers or body."""
    upstream = Upstream(503, 200, 500, httpx2.ReadError)

    async def three(client: httpx2.AsyncClient) -> None:
        await client.get("/bot-secret/send?token=secret", headers={"Authorization": "secret"})
        await client.post("/secret", content=b"secret")
        with pytest.raises(httpx2.ReadError):
            await client.post("/secret")

    with caplog.at_level(logging.INFO, logger="fastapi_patterns.http"):
        call(upstream, three, name="mail")
    records = [record for record in caplog.records if record.name == "fastapi_patterns.http"]
    assert [record.levelname for record in records] == ["INFO", "WARNING", "WARNING"]
    shown = [record.getMessage() for record in records]
    assert shown[0].startswith("Call to mail: GET - 0.0")
    assert shown[0].endswith("s 200, attempt 2")
    assert shown[1].endswith("s 500")
    assert shown[2].endswith("s ReadError")
    assert vars(records[0])["attempts"] == 2
    assert vars(records[0])["outcome"] == "200"
    assert vars(records[0])["duration_ms"] > 0
    assert "secret" not in str([vars(record) for record in records])


async def part(client: httpx2.AsyncClient) -> None:
    """Read the beginning of a body."""
    async with client.stream("GET", "/") as response:
        await anext(response.aiter_bytes())


async def all_of_it(client: httpx2.AsyncClient) -> None:
    """Read a body."""
    async with client.stream("GET", "/") as response:
        await response.aread()


async def in_time(client: httpx2.AsyncClient) -> None:
    """Read a body, for a moment."""
    async with asyncio.timeout(0.05):
        await all_of_it(client)


async def whole_in_time(client: httpx2.AsyncClient) -> None:
    """Call, for a moment."""
    async with asyncio.timeout(0.05):
        await client.get("/")


@pytest.mark.parametrize(
    ("what", "options", "level", "outcome"),
    [
        (part, {}, "INFO", "200"),
        (all_of_it, {"deadline_s": 0.1}, "WARNING", "CallDeadlineError"),
        (all_of_it, {"max_response_bytes": 3}, "WARNING", "ResponseTooLargeError"),
        (in_time, {}, "INFO", "CancelledError"),
        (whole_in_time, {}, "INFO", "CancelledError"),
    ],
)
def test_the_line_of_a_stream_tells_its_end(
    caplog: pytest.LogCaptureFixture, what: Any, options: dict[str, Any], level: str, outcome: str
) -> None:
    """A body that fails is a failed call; one that was left early is none. A call that is cancelled is a line too."""
    caplog.set_level(logging.INFO, logger="fastapi_patterns.http")
    with contextlib.suppress(httpx2.HTTPError, TimeoutError):
        call(lambda _: httpx2.Response(200, stream=Trickle()), what, **options)
    records = [record for record in caplog.records if record.name == "fastapi_patterns.http"]
    assert [(record.levelname, vars(record)["outcome"]) for record in records] == [(level, outcome)]


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "deflate"])
def test_a_bomb_is_not_unpacked(encoding: str) -> None:
    """A body of a few kilobytes takes the memory of the limit, and a little."""
    packed = bytes(64 * 2**20)
    for coding in encoding.split(", "):
        packed = gzip.compress(packed) if coding == "gzip" else zlib.compress(packed)

    async def body() -> AsyncIterator[bytes]:
        yield packed

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"Content-Encoding": encoding}, content=body())

    tracemalloc.start()
    try:
        with pytest.raises(ResponseTooLargeError):
            call(answer, lambda client: client.get("/"), max_response_bytes=2**20)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("base_url", "name"), [("https://api.example/v1", "api.example"), ("", "http")])
def test_the_name_is_the_host(base_url: str, name: str) -> None:
    """Where nothing is said."""
    assert HttpClient(base_url).name == name


def test_a_client_of_the_applications_own() -> None:
    """Its settings are used, our bounds come on top, and it stays open."""
    upstream = Upstream(503, 200)
    hooked = []

    async def hook(request: httpx2.Request) -> None:
        hooked.append(request.url.path)

    async def main() -> None:
        options = {"transport": httpx2.MockTransport(upstream), "event_hooks": {"request": [hook]}}
        async with httpx2.AsyncClient(base_url="http://upstream/v1/", headers={"X-Own": "1"}, **options) as own:  # type: ignore[arg-type]
            async with HttpClient(client=own) as shared:
                answer = await (await shared.client()).get("thing")
            assert (answer.status_code, shared.name) == (200, "upstream")
            assert not own.is_closed
        for ignored in ({"base_url": "http://x"}, {"http2": True}):
            with pytest.raises(ConfigurationError, match=f"leave out {next(iter(ignored))}"):
                HttpClient(client=own, **ignored)  # type: ignore[arg-type]

    asyncio.run(main())
    assert hooked == ["/v1/thing", "/v1/thing"]
    assert upstream.asked[0].headers["X-Own"] == "1"


@pytest.mark.parametrize("name", ["deadline_s", "max_concurrency", "max_response_bytes"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_limits_are_numbers(name: str, value: float) -> None:
    """A limit that is none is refused at the start."""
    with pytest.raises(ConfigurationError, match=f"{name} must be a positive, finite number"):
        HttpClient(**{name: value})  # type: ignore[arg-type]


def test_trusted_hosts_is_a_list() -> None:
    """A text would be a list of letters."""
    with pytest.raises(ConfigurationError, match="trusted_hosts must be a list"):
        HttpClient(trusted_hosts="api.internal")


def test_an_upstream_of_ours_gets_only_so_many_calls() -> None:
    """The pool is as large as `max_concurrency`."""

    async def main() -> Any:
        async with HttpClient("http://upstream", max_concurrency=3) as upstream:
            client: Any = await upstream.client()
            return client._transport._pool._max_connections

    assert asyncio.run(main()) == 3
