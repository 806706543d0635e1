"""An upstream on loopback that does everything wrong, and what a call to it costs at the most."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest

from fastapi_patterns import HttpClient
from fastapi_patterns.http import CallDeadlineError
from tests.faults.harness import SLACK_S

DEADLINE_S = 1.0
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Upstream:
    """A server that behaves as it is told, and counts what it is asked."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.asked: Counter[str] = Counter()
        self._behaviour = behaviour

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.asked[head.split(b" ")[0].decode()] += 1
                await self._behaviour(reader, writer, self.asked.total())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
    """Drop the connection in place of an answer."""
    writer.transport.abort()
    raise ConnectionError


async def stall_in_headers(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
    """Begin to answer."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Half")
    await asyncio.sleep(60)


async def stall_in_body(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
    """Half a body."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    await asyncio.sleep(60)


async def trickle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
    """A byte now and then: each read is in time."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


def status(code: int, *headers: str) -> Behaviour:
    """Answer with a status."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
        lines = "".join(f"{line}\r\n" for line in headers)
        writer.write(f"HTTP/1.1 {code} Status\r\nContent-Length: 0\r\n{lines}\r\n".encode())

    return answer


async def better_the_second_time(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    """429 with `Retry-After`, then 200."""
    slow_down = b"HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
    writer.write(slow_down if number == 1 else OK)


async def fine(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
    """Answer."""
    writer.write(OK)


@asynccontextmanager
async def upstream_that(behaviour: Behaviour, **options: Any) -> AsyncIterator[tuple[httpx2.AsyncClient, Upstream]]:
    """Serve an upstream and open a client for it; afterwards no connection of the pool is in use."""
    upstream = Upstream(behaviour)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = {"deadline_s": DEADLINE_S, "timeout_s": 30.0, "trust_env": False, **options}
    try:
        async with HttpClient(f"http://127.0.0.1:{port}", **options) as shared:
            client: Any = await shared.client()
            yield client, upstream
            await asyncio.sleep(0)
            connections = client._transport._pool.connections
            assert [connection for connection in connections if not connection.is_idle()] == []
    finally:
        server.close()


def outcome(behaviour: Behaviour, method: str = "GET", **options: Any) -> tuple[Any, float, Upstream]:
    """Call once: what came of it, after how many seconds."""

    async def main() -> tuple[Any, float, Upstream]:
        async with upstream_that(behaviour, **options) as (client, upstream):
            began = time.monotonic()
            try:
                result: Any = (await client.request(method, "/")).status_code
            except httpx2.HTTPError as error:
                result = type(error)
            return result, time.monotonic() - began, upstream

    return asyncio.run(main())


@pytest.mark.parametrize("behaviour", [stall_in_headers, stall_in_body, trickle])
def test_the_deadline_is_met(behaviour: Behaviour) -> None:
    """Whatever the upstream does, within a tenth."""
    result, seconds, upstream = outcome(behaviour)
    assert result is CallDeadlineError
    assert DEADLINE_S * 0.9 < seconds < DEADLINE_S * 1.1 + SLACK_S
    assert upstream.asked == {"GET": 1}


@pytest.mark.parametrize("behaviour", [stall_in_headers, stall_in_body, trickle])
@pytest.mark.parametrize("is_own", [False, True])
def test_the_deadline_of_a_stream_is_met(behaviour: Behaviour, is_own: bool) -> None:
    """It is that of the call; with a client of the application's own too, whose pool is then free."""

    async def main() -> float:
        async with upstream_that(behaviour) as (client, _), AsyncExitStack() as stack:
            if is_own:
                own = await stack.enter_async_context(httpx2.AsyncClient(base_url=client.base_url, timeout=30.0))
                shared = await stack.enter_async_context(HttpClient(client=own, deadline_s=DEADLINE_S))
                pool: Any = own._transport
                client = await shared.client()
            else:
                pool = client._transport
            began = time.monotonic()
            with pytest.raises(CallDeadlineError):
                async with client.stream("GET", "/") as response:
                    async for _ in response.aiter_bytes():
                        pass
            seconds = time.monotonic() - began
            assert [connection for connection in pool._pool.connections if not connection.is_idle()] == []
            return seconds

    assert DEADLINE_S * 0.9 < asyncio.run(main()) < DEADLINE_S * 1.1 + SLACK_S


@pytest.mark.parametrize("behaviour", [stall_in_headers, stall_in_body])
def test_attempts_that_time_out_share_the_deadline(behaviour: Behaviour) -> None:
    """Each read has its time, and all of them together have the call's."""
    result, seconds, upstream = outcome(behaviour, timeout_s=0.8)
    assert result in (CallDeadlineError, httpx2.ReadTimeout)
    assert seconds < DEADLINE_S * 1.1 + SLACK_S
    assert 2 <= upstream.asked["GET"] <= 3


@pytest.mark.parametrize(
    ("method", "behaviour", "result", "attempts"),
    [
        ("GET", reset, httpx2.ReadError, 3),
        ("POST", reset, httpx2.ReadError, 1),
        ("GET", status(503), 503, 3),
        ("POST", status(503), 503, 1),
        ("GET", status(500), 500, 1),
        ("DELETE", status(502), 502, 3),
        ("GET", status(429, "Retry-After: 5"), 429, 1),
        ("GET", better_the_second_time, 200, 2),
        ("POST", better_the_second_time, 429, 1),
        ("GET", status(302, "Location: http://169.254.169.254/latest/meta-data/"), 302, 1),
    ],
)
def test_attempts(method: str, behaviour: Behaviour, result: Any, attempts: int) -> None:
    """Two more at the most, and only of what does once what it does twice; a redirect is an answer."""
    found, seconds, upstream = outcome(method=method, behaviour=behaviour, deadline_s=3.0)
    if result is httpx2.ReadError:
        assert found in (httpx2.ReadError, httpx2.RemoteProtocolError)
    else:
        assert found == result
    assert upstream.asked == {method: attempts}
    assert seconds < 3.0
    if behaviour is better_the_second_time and method == "GET":
        assert seconds >= 1.0  # it waited as long as it was asked to


def test_nobody_listens() -> None:
    """Refused three times, at once."""

    async def main() -> float:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        async with HttpClient(f"http://127.0.0.1:{port}", trust_env=False) as shared:
            began = time.monotonic()
            with pytest.raises(httpx2.ConnectError):
                await (await shared.client()).get("/")
            return time.monotonic() - began

    assert asyncio.run(main()) < 1.0


def test_calls_at_once_are_bounded() -> None:
    """With two connections and an upstream that stalls, the third call waits its time, and gets none."""

    async def main() -> list[Any]:
        options = {"max_concurrency": 2, "deadline_s": 2.0, "timeout_s": 0.5, "retries": 0}
        async with upstream_that(stall_in_headers, **options) as (client, _):
            return await asyncio.gather(*(client.get("/") for _ in range(3)), return_exceptions=True)

    kinds = Counter(type(result) for result in asyncio.run(main()))
    assert kinds == {httpx2.ReadTimeout: 2, httpx2.PoolTimeout: 1}


def test_a_call_that_is_cancelled_gives_its_connection_back() -> None:
    """The next one has it, although there is only one."""

    async def main() -> int:
        async with upstream_that(fine, max_concurrency=1) as (client, upstream):
            upstream._behaviour = stall_in_body
            hanging = asyncio.create_task(client.get("/"))
            while not upstream.asked:  # noqa: ASYNC110  # the server is no part of the test
                await asyncio.sleep(0.01)
            hanging.cancel()
            await asyncio.wait([hanging])
            upstream._behaviour = fine
            return (await client.get("/")).status_code

    assert asyncio.run(main()) == 200
