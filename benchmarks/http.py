"""What a call to another service costs with the shared client, its bounds and its log line, over real connections.

The upstream is a server of twenty lines in another process: the least that answers HTTP, so that the client is what is
measured.
"""

import asyncio
import atexit
import subprocess
import sys
from collections.abc import Awaitable, Callable

import httpx2

from benchmarks.harness import OURS, Case, Suite
from fastapi_patterns import HttpClient

__all__ = ["suite"]

_CALLS = 50  # in one sample, so that entering the event loop does not count
_FLOOR = "a bare httpx2.AsyncClient that all calls share"
_SERVER = r"""
import asyncio

async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}')
    except asyncio.IncompleteReadError:
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def suite() -> Suite:
    """Make the cases: a call with a shared client, and with a client that is made for it."""
    url = _serve()
    loop = asyncio.new_event_loop()
    bare = httpx2.AsyncClient(trust_env=False)
    upstream = HttpClient(url, trust_env=False)
    loop.run_until_complete(upstream.__aenter__())
    ours = loop.run_until_complete(upstream.client())

    async def close() -> None:
        await bare.aclose()
        await upstream.__aexit__()

    atexit.register(lambda: loop.run_until_complete(close()))

    async def made_for_it() -> httpx2.Response:
        async with httpx2.AsyncClient(trust_env=False) as client:
            return await client.get(url)

    def calls(call: Callable[[], Awaitable[httpx2.Response]], times: int = _CALLS) -> Callable[[], object]:
        async def main() -> None:
            for _ in range(times):
                response = await call()
                if response.content != b'{"ok":true}':
                    raise RuntimeError(response.text)

        return lambda: loop.run_until_complete(main())

    shared = {"floor": calls(lambda: bare.get(url)), OURS: calls(lambda: ours.get(url))}
    fresh = {OURS: calls(lambda: ours.get(url), 5), "a client for each call": calls(made_for_it, 5)}
    return Suite(
        "http",
        [
            Case("50 calls, a JSON body of 11 bytes", _FLOOR, shared),
            Case("5 calls", _FLOOR, {"floor": calls(lambda: bare.get(url), 5), **fresh}),
        ],
    )


def _serve() -> str:
    running = subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True)
    atexit.register(running.kill)
    if running.stdout is None:
        raise RuntimeError("the upstream did not start")
    return f"http://127.0.0.1:{running.stdout.readline().strip()}/"
